#include "ecseq/compress/coarsening.hpp"

#include <numeric>
#include <string>

#include "ecseq/compress/grouping.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/stopwatch.hpp"
#include "ecseq/graph/contraction.hpp"

namespace ecseq::compress {
namespace {

std::string shortfall(Index nodes, Index reached, const graph::SparseGraph& last,
                      const CoarseningOptions& options) {
  if (nodes > options.n_representatives) {
    if (last.n_edges() == 0) {
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

}  // namespace

Compression coarsen(MatrixView<float> x, MatrixView<float> labels, const graph::SparseGraph& graph,
                    const CoarseningOptions& options, const ProgressCallback& progress) {
  const Stopwatch stopwatch;
  if (x.rows != graph.size() || labels.rows != x.rows) {
    throw InvalidArgument("graph: has " + std::to_string(graph.size()) + " nodes for " +
                          std::to_string(x.rows) + " rows of X and " + std::to_string(labels.rows) +
                          " of labels");
  }
  const std::vector<CoarseningLevel> levels = coarsening_levels(graph, options, progress);

  Grouping groups;
  groups.cluster.resize(static_cast<std::size_t>(x.rows));
  std::iota(groups.cluster.begin(), groups.cluster.end(), std::int64_t{0});
  Matrix<double> vectors = x.eigen().cast<double>();
  for (const CoarseningLevel& level : levels) {
    for (auto& node : groups.cluster) node = level.parent[static_cast<std::size_t>(node)];
    vectors = graph::average_rows(vectors, graph::members_of(level.parent, level.graph.size()),
                                  resolve_threads(options.num_threads));
  }
  const Index nodes = vectors.rows();
  groups.vectors = vectors.cast<float>();
  Compression out = represent_grouping(x, labels, groups, options.n_cases, options.num_threads);

  out.report.iterations = static_cast<int>(levels.size());
  out.report.requested = options.n_representatives;
  out.report.note = shortfall(nodes, out.representatives.size(),
                              levels.empty() ? graph : levels.back().graph, options);
  out.report.seconds = stopwatch.seconds();
  return out;
}

}  // namespace ecseq::compress
