#include "coarsening_sets.hpp"

#include <algorithm>
#include <tuple>

namespace ecseq::compress {

ContractionSets Contraction::finish() const {
  ContractionSets out;
  out.variation = variation_;
  out.parent.resize(leader_.size());
  std::vector<Index> number(leader_.size(), -1);
  for (std::size_t i = 0; i < leader_.size(); ++i) {
    const std::size_t leader = leader_[i] < 0 ? i : static_cast<std::size_t>(leader_[i]);
    if (number[leader] < 0) number[leader] = out.n_groups++;
    out.parent[i] = number[leader];
  }
  return out;
}

std::vector<CandidateEdge> edges_of(const graph::SparseGraph& graph) {
  std::vector<CandidateEdge> edges;
  edges.reserve(static_cast<std::size_t>(graph.n_edges()));
  for (Index i = 0; i < graph.size(); ++i) {
    for (const auto j : graph.neighbors_of(i)) {
      if (j > i) edges.push_back({0.0, static_cast<std::int32_t>(i), j});
    }
  }
  return edges;
}

ContractionSets match_edges(Index nodes, std::vector<CandidateEdge> edges, Index budget) {
  std::sort(edges.begin(), edges.end(), [](const CandidateEdge& a, const CandidateEdge& b) {
    return std::tie(a.cost, a.i, a.j) < std::tie(b.cost, b.i, b.j);
  });
  Contraction contraction(nodes, budget);
  for (const CandidateEdge& edge : edges) {
    if (contraction.budget() == 0) break;
    if (contraction.taken(edge.i) || contraction.taken(edge.j)) continue;
    contraction.contract(std::vector<Index>{edge.i, edge.j}, edge.cost);
  }
  return contraction.finish();
}

}  // namespace ecseq::compress
