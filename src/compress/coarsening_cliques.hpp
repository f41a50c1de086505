#pragma once

#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::compress {

/// There can be 3^(nodes / 3) maximal cliques; beyond these many we refuse.
inline constexpr Index kMostCliques = 1'000'000;

/// Every maximal clique of at least two nodes, each increasing (Bron and Kerbosch 1973, with the
/// pivot of Tomita, Tanaka and Takahashi 2006, one search per node over its later neighbours).
/// Throws InvalidArgument if there are more than `most`.
std::vector<std::vector<Index>> maximal_cliques(const graph::SparseGraph& graph, Index most);

}  // namespace ecseq::compress
