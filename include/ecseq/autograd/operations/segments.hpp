#pragma once

#include <span>
#include <string>

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// The segments of a ragged matrix: segment s is the rows [offsets[s], offsets[s + 1]).
class Segments {
 public:
  explicit Segments(std::span<const Index> offsets) : offsets_(offsets) {}
  Index size() const { return static_cast<Index>(offsets_.size()) - 1; }
  Index begin(Index s) const { return offsets_[static_cast<std::size_t>(s)]; }
  Index end(Index s) const { return offsets_[static_cast<std::size_t>(s) + 1]; }
  Index length(Index s) const { return end(s) - begin(s); }

 private:
  std::span<const Index> offsets_;
};

/// Throws InvalidArgument unless `offsets` starts at 0, does not decrease, and ends at `rows`.
inline Segments require_segments(std::span<const Index> offsets, Index rows, const char* name) {
  const auto refuse = [&](std::size_t i, const std::string& expected) {
    throw InvalidArgument(std::string(name) + "[" + std::to_string(i) + "]: expected " + expected +
                          ", got " + std::to_string(offsets[i]));
  };
  if (offsets.empty()) {
    throw InvalidArgument(std::string(name) + ": expected one value more than segments, got none");
  }
  if (offsets[0] != 0) refuse(0, "0");
  for (std::size_t i = 1; i < offsets.size(); ++i) {
    if (offsets[i] < offsets[i - 1])
      refuse(i, std::string("at least ") + std::to_string(offsets[i - 1]));
  }
  if (offsets.back() != rows) {
    refuse(offsets.size() - 1, std::string("the number of rows, ") + std::to_string(rows));
  }
  return Segments(offsets);
}

}  // namespace ecseq::autograd
