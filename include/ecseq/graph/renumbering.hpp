#pragma once

#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::graph {

/// The nodes by breadth-first search, from the lowest of each component: neighbours stand near each
/// other where the graph has a geometry. [nodes], the old node of each place.
std::vector<Index> breadth_first_order(const SparseGraph& graph);

/// The graph whose node p is order[p] of this one. order: [nodes], each once.
SparseGraph renumber(const SparseGraph& graph, const std::vector<Index>& order, int threads);

}  // namespace ecseq::graph
