#pragma once

#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::graph {

/// The connected components of a graph, numbered in the order of their lowest node.
struct Components {
  std::vector<Index> of_node;  ///< [nodes], 0 .. size() - 1
  std::vector<Index> sizes;    ///< [components], nodes
  Index size() const { return static_cast<Index>(sizes.size()); }
};

Components connected_components(const SparseGraph& graph);

}  // namespace ecseq::graph
