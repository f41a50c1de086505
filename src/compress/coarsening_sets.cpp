#include "coarsening_sets.hpp"

#include <algorithm>
#include <functional>
#include <tuple>

#include "ecseq/core/parallel.hpp"

namespace ecseq::compress {

namespace {

/// Cheapest first. Sorted by blocks, which are then merged in pairs; breathe: called between.
void sort_edges(std::vector<CandidateEdge>& edges, int threads,
                const std::function<void()>& breathe) {
  constexpr Index kBlock = 1 << 17;
  constexpr Index kRound = 4;  // blocks between two breaths
  const auto cheaper = [](const CandidateEdge& a, const CandidateEdge& b) {
    return std::tie(a.cost, a.i, a.j) < std::tie(b.cost, b.i, b.j);
  };
  const auto size = static_cast<Index>(edges.size());
  const auto at = [&](Index e) { return edges.begin() + std::min(e, size); };
  for (Index first = 0; first < size; first += kRound * kBlock) {
    breathe();
    parallel_for(kRound, threads, [&](Index block) {
      std::sort(at(first + block * kBlock), at(first + (block + 1) * kBlock), cheaper);
    });
  }
  for (Index width = kBlock; width < size; width *= 2) {
    breathe();
    parallel_for((size + 2 * width - 1) / (2 * width), threads, [&](Index pair) {
      const Index begin = 2 * width * pair;
      std::inplace_merge(at(begin), at(begin + width), at(begin + 2 * width), cheaper);
    });
  }
}

}  // namespace

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

ContractionSets match_edges(Index nodes, std::vector<CandidateEdge> edges, Index budget,
                            int threads, const ProgressCallback& progress) {
  sort_edges(edges, threads, [&] { report(progress, {"compress", 0, budget, ""}); });
  Contraction contraction(nodes, budget);
  for (const CandidateEdge& edge : edges) {
    if (contraction.budget() == 0) break;
    if (contraction.taken(edge.i) || contraction.taken(edge.j)) continue;
    contraction.contract(std::vector<Index>{edge.i, edge.j}, edge.cost);
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
