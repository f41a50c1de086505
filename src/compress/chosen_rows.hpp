#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ecseq/compress/representatives.hpp"
#include "ecseq/core/progress.hpp"

namespace ecseq::compress {

/// Tells equal rows of one matrix; -0 and +0 are one value.
class DistinctRows {
 public:
  explicit DistinctRows(MatrixView<float> x);
  /// True the first time a value is seen.
  bool insert(Index row) { return insert_or_find(row).second; }
  /// The first row of the same value that was inserted, and whether it is this one.
  std::pair<Index, bool> insert_or_find(Index row) {
    const auto [found, is_new] = seen_.try_emplace(bytes(row), row);
    return {found->second, is_new};
  }
  bool equal(Index a, Index b) const { return bytes(a) == bytes(b); }

 private:
  std::string_view bytes(Index row) const;

  Matrix<float> values_;  ///< [N, h], without negative zeros
  std::unordered_map<std::string_view, Index> seen_;
};

/// Sum of the squared distances of all members.
double objective(const Representatives& representatives);

/// Throws InvalidArgument unless x is finite, labels has a row for each of x, and x has at least
/// k >= 1 distinct rows.
void require_compressible(MatrixView<float> x, MatrixView<float> labels, Index k);

/// Real rows as representatives: every row goes to the nearest chosen one, the first on ties.
/// chosen: [K], rows of x of different values. Fills all but report.iterations and seconds.
Compression represent_by_rows(MatrixView<float> x, MatrixView<float> labels,
                              const std::vector<Index>& chosen, Index n_cases, int threads);

}  // namespace ecseq::compress
