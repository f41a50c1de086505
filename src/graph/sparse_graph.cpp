#include "ecseq/graph/sparse_graph.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "ecseq/core/error.hpp"

namespace ecseq::graph {
namespace {

[[noreturn]] void refuse(Index row, const std::string& what) {
  throw InvalidArgument("graph: row " + std::to_string(row) + ": " + what);
}

/// The weight of the edge from i to j, or -1.
float weight_between(const SparseGraph& graph, Index i, Index j) {
  const auto neighbors = graph.neighbors_of(i);
  const auto found =
      std::lower_bound(neighbors.begin(), neighbors.end(), static_cast<std::int32_t>(j));
  if (found == neighbors.end() || *found != j) return -1.0F;
  return graph.weights_of(i)[static_cast<std::size_t>(found - neighbors.begin())];
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
  for (Index i = 0; i < graph.size(); ++i) {
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
      if (weight_between(graph, j, i) != weights[e]) {
        refuse(i, "the edge to " + std::to_string(j) + " is not the same the other way");
      }
    }
  }
}

}  // namespace ecseq::graph
