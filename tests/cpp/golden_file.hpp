#pragma once

// What the scripts of tests/parity wrote: per line a name, a number of values and the values.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq::testing {

class GoldenFile {
 public:
  /// file: under tests/parity/golden
  explicit GoldenFile(const std::string& file) {
    const auto tests = std::filesystem::path(__FILE__).parent_path().parent_path();
    std::ifstream lines(tests / "parity/golden" / file);
    std::string name;
    std::size_t count = 0;
    while (lines >> name >> count) {
      auto& row = rows_[name];
      row.resize(count);
      for (double& value : row) lines >> value;
    }
  }

  /// Fails where there is no such line.
  const std::vector<double>& at(const std::string& name) const {
    static const std::vector<double> none;
    const auto found = rows_.find(name);
    if (found != rows_.end()) return found->second;
    ADD_FAILURE() << name << " is not in the golden file";
    return none;
  }

  /// Every element within 1e-5 of the line's largest magnitude, or of 1 if that is larger.
  void expect(const std::string& name, const Matrix<float>& got) const {
    const auto& expected = at(name);
    ASSERT_EQ(static_cast<Index>(expected.size()), got.size()) << name;
    double scale = 1.0;
    for (const double value : expected) scale = std::max(scale, std::abs(value));
    for (Index i = 0; i < got.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(got.data()[i]), expected[static_cast<std::size_t>(i)],
                  1e-5 * scale)
          << name << ", element " << i;
    }
  }

 private:
  std::map<std::string, std::vector<double>> rows_;
};

}  // namespace ecseq::testing
