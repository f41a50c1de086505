#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>

namespace ecseq::testing {

/// An empty folder of the running test's own, or of its suite's in SetUpTestSuite, removed with all
/// that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    const auto& run = *::testing::UnitTest::GetInstance();
    std::string name = run.current_test_suite()->name();
    if (const auto* test = run.current_test_info()) name += std::string("_") + test->name();
    std::ranges::replace(name, '/', '_');  // of parameters
    path_ = std::filesystem::temp_directory_path() /
            ("ecseq_" + name + "_" + std::to_string(::getpid()));
    std::filesystem::create_directory(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace ecseq::testing
