#include "ecseq/graph/sparse_graph.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ecseq/core/error.hpp"

namespace ecseq::graph {
namespace {

[[noreturn]] void refuse(Index row, const std::string& what) {
  throw InvalidArgument("graph: row " + std::to_string(row) + ": " + what);
}

/// Neighbours in range and increasing, no self-loop, weights positive and finite.
void validate_row(const SparseGraph& graph, Index i) {
  const auto neighbors = graph.neighbors_of(i);
  const auto weights = graph.weights_of(i);
  for (std::size_t e = 0; e < neighbors.size(); ++e) {
    const Index j = neighbors[e];
    if (j < 0 || j >= graph.size()) {
      refuse(i, "neighbour " + std::to_string(j) + " is not one of " +
                    std::to_string(graph.size()) + " nodes");
    }
    if (j == i) refuse(i, "self-loop");
    if (e > 0 && neighbors[e - 1] >= j) refuse(i, "neighbours do not increase");
    if (!std::isfinite(weights[e]) || weights[e] <= 0) {
      refuse(i, "weight " + std::to_string(weights[e]) + " is not a positive number");
    }
  }
}

/// Every edge in the rows of both its ends, with one weight. The rows must be increasing: then the
/// lower neighbours of a row are met in their order when the rows are gone through, and no row is
/// searched for them.
void validate_symmetry(const SparseGraph& graph) {
  constexpr std::size_t kAhead = 16;
  std::vector<Index> next(graph.offsets.begin(), graph.offsets.end() - 1);  // entry to be met
  const std::size_t entries = graph.neighbors.size();
  const auto differs = [](Index i, Index j) {
    refuse(i, "the edge to " + std::to_string(j) + " is not the same the other way");
  };
  for (Index i = 0; i < graph.size(); ++i) {
    const auto end = static_cast<std::size_t>(graph.offsets[static_cast<std::size_t>(i) + 1]);
    auto e = static_cast<std::size_t>(next[static_cast<std::size_t>(i)]);
    if (e < end && graph.neighbors[e] < i) differs(i, graph.neighbors[e]);
    for (; e < end; ++e) {
      // Neighbours lie anywhere: where they stand is asked for before their turn.
      const auto far = static_cast<std::size_t>(graph.neighbors[std::min(e + kAhead, entries - 1)]);
      __builtin_prefetch(graph.neighbors.data() + next[far]);
      __builtin_prefetch(graph.weights.data() + next[far]);
      const Index j = graph.neighbors[e];
      Index& other = next[static_cast<std::size_t>(j)];
      const bool same = other < graph.offsets[static_cast<std::size_t>(j) + 1] &&
                        graph.neighbors[static_cast<std::size_t>(other)] == i &&
                        graph.weights[static_cast<std::size_t>(other)] == graph.weights[e];
      if (!same) differs(i, j);
      ++other;
    }
  }
}

}  // namespace

void validate(const SparseGraph& graph) {
  const auto entries = static_cast<Index>(graph.neighbors.size());
  if (graph.offsets.empty() || graph.offsets.front() != 0 || graph.offsets.back() != entries ||
      !std::is_sorted(graph.offsets.begin(), graph.offsets.end()) ||
      static_cast<Index>(graph.weights.size()) != entries) {
    throw InvalidArgument("graph: expected offsets that increase from 0 to the " +
                          std::to_string(entries) + " neighbours, and a weight for each");
  }
  for (Index i = 0; i < graph.size(); ++i) validate_row(graph, i);
  validate_symmetry(graph);
}

}  // namespace ecseq::graph
