#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq::graph {

/// An undirected weighted graph without self-loops, by rows (CSR): each edge stands in the rows of
/// both its ends, and the neighbours of a row increase.
struct SparseGraph {
  std::vector<Index> offsets{0};        ///< [nodes + 1]
  std::vector<std::int32_t> neighbors;  ///< [2 edges]
  std::vector<float> weights;           ///< [2 edges], positive

  Index size() const { return static_cast<Index>(offsets.size()) - 1; }
  Index n_edges() const { return static_cast<Index>(neighbors.size()) / 2; }
  std::span<const std::int32_t> neighbors_of(Index i) const {
    return {neighbors.data() + begin(i), static_cast<std::size_t>(end(i) - begin(i))};
  }
  std::span<const float> weights_of(Index i) const {
    return {weights.data() + begin(i), static_cast<std::size_t>(end(i) - begin(i))};
  }

 private:
  Index begin(Index i) const { return offsets[static_cast<std::size_t>(i)]; }
  Index end(Index i) const { return offsets[static_cast<std::size_t>(i) + 1]; }
};

/// Throws InvalidArgument, naming the row, unless the graph is what it says: offsets that increase
/// to the number of entries, neighbours in range and increasing, no self-loop, weights positive
/// and finite, and equal in both rows of an edge.
void validate(const SparseGraph& graph);

}  // namespace ecseq::graph
