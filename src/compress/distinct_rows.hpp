#pragma once

#include <cstddef>
#include <unordered_set>
#include <utility>

#include "ecseq/core/matrix.hpp"

namespace ecseq::compress {

/// Tells equal rows of one matrix, which is not copied; -0 and +0 are one value.
class DistinctRows {
 public:
  /// x: [N, h], which must outlive this.
  explicit DistinctRows(MatrixView<float> x) : x_(x), seen_(0, Hash{x}, Equal{x}) {}

  /// True the first time a value is seen.
  bool insert(Index row) { return insert_or_find(row).second; }
  /// The first row of the same value that was inserted, and whether it is this one.
  std::pair<Index, bool> insert_or_find(Index row) {
    const auto [found, is_new] = seen_.insert(row);
    return {*found, is_new};
  }
  bool equal(Index a, Index b) const { return Equal{x_}(a, b); }
  /// Different values that were inserted.
  Index size() const { return static_cast<Index>(seen_.size()); }

 private:
  struct Hash {
    MatrixView<float> x;
    std::size_t operator()(Index row) const;
  };
  struct Equal {
    MatrixView<float> x;
    bool operator()(Index a, Index b) const;
  };

  MatrixView<float> x_;
  std::unordered_set<Index, Hash, Equal> seen_;
};

/// Throws InvalidArgument, which names n_representatives, unless x has at least k >= 1 distinct
/// rows.
void require_distinct_rows(MatrixView<float> x, Index k);

}  // namespace ecseq::compress
