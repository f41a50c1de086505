#include "ecseq/compress/coarsening.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "coarsening_levels.hpp"
#include "ecseq/compress/grouping.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/stopwatch.hpp"
#include "ecseq/graph/contraction.hpp"

namespace ecseq::compress {
namespace {

/// Why there are not as many representatives as asked for; of the last level the nodes and edges.
std::string shortfall(Index nodes, Index edges, Index reached, const CoarseningOptions& options) {
  if (nodes > options.n_representatives) {
    if (edges == 0) {
      return "the graph has " + std::to_string(nodes) +
             " connected components, and coarsening merges only what is connected";
    }
    return "max_levels = " + std::to_string(options.max_levels) + " was reached at " +
           std::to_string(nodes) + " nodes";
  }
  if (reached < nodes) {
    return std::to_string(nodes - reached) + " of " + std::to_string(nodes) +
           " coarse nodes had the vector of another and were merged with it";
  }
  return "";
}

/// The clusters of the rows and their vectors: of each level the plain means of the level before.
/// Followed from the last level back, each row is found to count for one over the product of the
/// sizes of the sets that it was merged into.
Grouping group_rows(MatrixView<float> x, const std::vector<std::vector<Index>>& parents) {
  Index nodes = x.rows;
  if (!parents.empty()) {
    nodes = 1 + *std::max_element(parents.back().begin(), parents.back().end());
  }
  struct Place {
    std::int64_t cluster;
    double weight;
  };
  std::vector<Place> places(static_cast<std::size_t>(nodes));
  for (Index i = 0; i < nodes; ++i) places[static_cast<std::size_t>(i)] = {i, 1.0};
  for (auto parent = parents.rbegin(); parent != parents.rend(); ++parent) {
    std::vector<Index> sizes(places.size(), 0);
    for (const Index group : *parent) ++sizes[static_cast<std::size_t>(group)];
    std::vector<Place> before;
    before.reserve(parent->size());
    for (const Index group : *parent) {
      const auto at = static_cast<std::size_t>(group);
      before.push_back({places[at].cluster, places[at].weight / static_cast<double>(sizes[at])});
    }
    places = std::move(before);
  }
  Grouping groups;
  Matrix<double> vectors = Matrix<double>::Zero(nodes, x.cols);
  for (Index i = 0; i < x.rows; ++i) {
    const Place& place = places[static_cast<std::size_t>(i)];
    groups.cluster.push_back(place.cluster);
    vectors.row(place.cluster) += place.weight * x.eigen().row(i).cast<double>();
  }
  groups.vectors = vectors.cast<float>();
  return groups;
}

}  // namespace

Compression coarsen(MatrixView<float> x, MatrixView<float> labels, const graph::SparseGraph& graph,
                    const CoarseningOptions& options, const ProgressCallback& progress) {
  const Stopwatch stopwatch;
  if (x.rows != graph.size() || labels.rows != x.rows) {
    throw InvalidArgument("graph: has " + std::to_string(graph.size()) + " nodes for " +
                          std::to_string(x.rows) + " rows of X and " + std::to_string(labels.rows) +
                          " of labels");
  }
  std::vector<std::vector<Index>> parents;
  Index edges = graph.n_edges();
  visit_levels(
      graph, options,
      [&](std::vector<Index> parent, const graph::SparseGraph& coarse, double) {
        parents.push_back(std::move(parent));
        edges = coarse.n_edges();
      },
      progress);
  const Grouping groups = group_rows(x, parents);
  const Index nodes = groups.vectors.rows();
  Compression out = represent_grouping(x, labels, groups, options.n_cases, options.num_threads);

  out.report.iterations = static_cast<int>(parents.size());
  out.report.requested = options.n_representatives;
  out.report.note = shortfall(nodes, edges, out.representatives.size(), options);
  out.report.seconds = stopwatch.seconds();
  return out;
}

}  // namespace ecseq::compress
