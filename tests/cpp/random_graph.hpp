#pragma once

#include <map>
#include <utility>
#include <vector>

#include "ecseq/core/rng.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::testing {

using Edges = std::map<std::pair<Index, Index>, float>;  // (i, j) with i < j -> weight

inline graph::SparseGraph graph_of(Index n, const Edges& edges) {
  std::vector<std::map<Index, float>> rows(static_cast<std::size_t>(n));
  for (const auto& [ends, weight] : edges) {
    rows[static_cast<std::size_t>(ends.first)][ends.second] = weight;
    rows[static_cast<std::size_t>(ends.second)][ends.first] = weight;
  }
  graph::SparseGraph out;
  for (const auto& row : rows) {
    for (const auto& [neighbor, weight] : row) {
      out.neighbors.push_back(static_cast<std::int32_t>(neighbor));
      out.weights.push_back(weight);
    }
    out.offsets.push_back(static_cast<Index>(out.neighbors.size()));
  }
  return out;
}

/// A ring, so that it is connected, and random chords up to a mean degree; weights in [0.1, 1).
inline Edges random_edges(Index n, Index degree, std::uint64_t seed) {
  Rng rng(seed);
  Edges edges;
  const auto weight = [&] { return static_cast<float>(rng.uniform(0.1, 1.0)); };
  for (Index i = 0; i + 1 < n; ++i) edges[{i, i + 1}] = weight();
  if (n > 2) edges[{0, n - 1}] = weight();
  for (Index e = n; e < n * degree / 2; ++e) {
    const Index i = rng.below(n), j = rng.below(n);
    if (i != j) edges[{std::min(i, j), std::max(i, j)}] = weight();
  }
  return edges;
}

inline graph::SparseGraph random_graph(Index n, Index degree, std::uint64_t seed) {
  return graph_of(n, random_edges(n, degree, seed));
}

/// Two graphs side by side, without an edge between them.
inline graph::SparseGraph side_by_side(const graph::SparseGraph& a, const graph::SparseGraph& b) {
  graph::SparseGraph out = a;
  for (Index i = 0; i < b.size(); ++i) {
    const auto length = static_cast<Index>(b.neighbors_of(i).size());
    out.offsets.push_back(out.offsets.back() + length);
  }
  for (const auto j : b.neighbors) out.neighbors.push_back(j + static_cast<std::int32_t>(a.size()));
  out.weights.insert(out.weights.end(), b.weights.begin(), b.weights.end());
  return out;
}

}  // namespace ecseq::testing
