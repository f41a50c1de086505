#include "coarsening_sets.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <span>
#include <tuple>
#include <utility>

#include "ecseq/core/parallel.hpp"

namespace ecseq::compress {

namespace {

/// Integers in the order of the costs, -0 beside 0.
std::uint64_t sort_key(double cost) {
  const auto bits = std::bit_cast<std::uint64_t>(cost + 0.0);
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

/// Cheapest first, else in the order that they are in: by digits of the costs, from the lowest
/// (radix sort), in time linear in their number. scratch: as long.
void sort_block(std::span<CandidateEdge> edges, std::span<CandidateEdge> scratch) {
  constexpr int kBits = 11, kDigits = 6;  // 66 >= 64
  constexpr std::size_t kValues = std::size_t{1} << kBits;
  static_assert(kDigits % 2 == 0);  // the last pass writes into `edges`
  if (edges.size() < 2) return;
  const auto digit = [](const CandidateEdge& edge, int d) {
    return static_cast<std::size_t>(sort_key(edge.cost) >> (kBits * d)) & (kValues - 1);
  };
  std::vector<std::array<std::uint32_t, kDigits>> places(kValues);
  for (const CandidateEdge& edge : edges) {
    for (int d = 0; d < kDigits; ++d) ++places[digit(edge, d)][static_cast<std::size_t>(d)];
  }
  std::span<CandidateEdge> from = edges, to = scratch;
  for (int d = 0; d < kDigits; ++d) {
    std::uint32_t sum = 0;
    for (auto& place : places) sum += std::exchange(place[static_cast<std::size_t>(d)], sum);
    for (const CandidateEdge& edge : from) {
      to[places[digit(edge, d)][static_cast<std::size_t>(d)]++] = edge;
    }
    std::swap(from, to);
  }
}

/// Cheapest first, of edges in the order of (i, j). Sorted by blocks, which are then merged in
/// pairs; breathe: called between.
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
      const std::span<CandidateEdge> part(at(first + block * kBlock),
                                          at(first + (block + 1) * kBlock));
      std::vector<CandidateEdge> scratch(part.size());
      sort_block(part, scratch);
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
