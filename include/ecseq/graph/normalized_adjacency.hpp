#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::graph {

/// A_hat = D^-1/2 (A + I) D^-1/2 of a graph's weights A, with D the row sums of A + I (Kipf and
/// Welling, ICLR 2017): the smoothing of graph convolutions. By rows (CSR), self-loops included.
class NormalizedAdjacency {
 public:
  explicit NormalizedAdjacency(const SparseGraph& graph);

  Index size() const { return static_cast<Index>(offsets_.size()) - 1; }
  /// The columns of row i, increasing, i among them.
  std::span<const std::int32_t> columns_of(Index i) const {
    const Index begin = offsets_[static_cast<std::size_t>(i)];
    const Index end = offsets_[static_cast<std::size_t>(i) + 1];
    return {columns_.data() + begin, static_cast<std::size_t>(end - begin)};
  }

  /// out = own x + share A_hat x; each element in the order of the columns, whatever the number of
  /// threads. x, out: [nodes, h], not the same matrix.
  void propagate(const Matrix<float>& x, float own, float share, int threads,
                 Matrix<float>& out) const;

 private:
  std::vector<Index> offsets_{0};      ///< [nodes + 1]
  std::vector<std::int32_t> columns_;  ///< [2 edges + nodes]
  std::vector<float> values_;          ///< [2 edges + nodes]
};

}  // namespace ecseq::graph
