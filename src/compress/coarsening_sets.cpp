#include "coarsening_sets.hpp"

#include <array>

namespace ecseq::compress {

ContractionSets Contraction::finish() const {
  ContractionSets out;
  out.variation = variation_;
  out.joined = joined_;
  out.parent.resize(leader_.size());
  std::vector<Index> number(leader_.size(), -1);
  for (std::size_t i = 0; i < leader_.size(); ++i) {
    const std::size_t leader = leader_[i] < 0 ? i : static_cast<std::size_t>(leader_[i]);
    if (number[leader] < 0) number[leader] = out.n_groups++;
    out.parent[i] = number[leader];
  }
  return out;
}

void list_edges(const graph::SparseGraph& graph, std::vector<CandidateEdge>& edges) {
  edges.clear();
  edges.reserve(static_cast<std::size_t>(graph.n_edges()));
  for (Index i = 0; i < graph.size(); ++i) {
    for (const auto j : graph.neighbors_of(i)) {
      if (j > i) edges.push_back({0.0, static_cast<std::int32_t>(i), j});
    }
  }
}

ContractionSets match_edges(Index nodes, std::vector<CandidateEdge>& edges,
                            PagedArray<CandidateEdge>& scratch, Index budget, int threads,
                            const ProgressCallback& progress) {
  sort_edges(edges, scratch, threads, [&] { report(progress, {"compress", 0, budget, ""}); });
  Contraction contraction(nodes, budget);
  for (const CandidateEdge& edge : edges) {
    if (contraction.budget() == 0) break;
    if (contraction.taken(edge.i) || contraction.taken(edge.j)) continue;
    contraction.contract(std::array<Index, 2>{edge.i, edge.j}, edge.cost);
  }
  const Index enough = (budget + 9) / 10;
  for (const CandidateEdge& edge : edges) {
    if (budget - contraction.budget() >= enough) break;
    if (!contraction.taken(edge.i)) {
      contraction.join(edge.i, edge.j);
    } else if (!contraction.taken(edge.j)) {
      contraction.join(edge.j, edge.i);
    }
  }
  return contraction.finish();
}

}  // namespace ecseq::compress
