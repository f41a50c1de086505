#include "ecseq/compress/coarsening.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <string>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/graph/contraction.hpp"

namespace ecseq::compress {
namespace {

/// Representatives with equal vectors become the first of them; the others keep their order.
void merge_equal(Matrix<float>& vectors, std::vector<std::int64_t>& assignment) {
  const auto row = [&](Index j) { return vectors.data() + j * vectors.cols(); };
  std::vector<Index> order(static_cast<std::size_t>(vectors.rows()));
  std::iota(order.begin(), order.end(), Index{0});
  std::sort(order.begin(), order.end(), [&](Index a, Index b) {
    const auto compared = std::lexicographical_compare_three_way(row(a), row(a) + vectors.cols(),
                                                                 row(b), row(b) + vectors.cols());
    return compared == 0 ? a < b : compared < 0;
  });
  std::vector<std::int64_t> number(order.size());
  for (std::size_t o = 0; o < order.size(); ++o) {
    const bool repeats =
        o > 0 && std::equal(row(order[o]), row(order[o]) + vectors.cols(), row(order[o - 1]));
    const Index first = repeats ? number[static_cast<std::size_t>(order[o - 1])] : order[o];
    number[static_cast<std::size_t>(order[o])] = first;
  }
  Index kept = 0;
  for (Index j = 0; j < vectors.rows(); ++j) {
    auto& now = number[static_cast<std::size_t>(j)];
    if (now < j) {
      now = number[static_cast<std::size_t>(now)];
      continue;
    }
    now = kept;
    if (kept != j) vectors.row(kept) = vectors.row(j).eval();
    ++kept;
  }
  vectors.conservativeResize(kept, Eigen::NoChange);
  for (auto& label : assignment) label = number[static_cast<std::size_t>(label)];
}

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
  const auto start = std::chrono::steady_clock::now();
  if (x.rows != graph.size() || labels.rows != x.rows) {
    throw InvalidArgument("graph: has " + std::to_string(graph.size()) + " nodes for " +
                          std::to_string(x.rows) + " rows of X and " + std::to_string(labels.rows) +
                          " of labels");
  }
  const std::vector<CoarseningLevel> levels = coarsening_levels(graph, options, progress);

  Compression out;
  out.assignment.resize(static_cast<std::size_t>(x.rows));
  std::iota(out.assignment.begin(), out.assignment.end(), std::int64_t{0});
  Matrix<double> vectors = x.eigen().cast<double>();
  for (const CoarseningLevel& level : levels) {
    for (auto& node : out.assignment) node = level.parent[static_cast<std::size_t>(node)];
    vectors = graph::average_rows(vectors, graph::members_of(level.parent, level.graph.size()),
                                  resolve_threads(options.num_threads));
  }
  const Index nodes = vectors.rows();
  out.representatives.vectors = vectors.cast<float>();
  merge_equal(out.representatives.vectors, out.assignment);
  describe(out.representatives, x, labels, out.assignment, options.n_cases);

  out.report.iterations = static_cast<int>(levels.size());
  for (Index j = 0; j < out.representatives.size(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    out.report.objective += out.representatives.mass[at] * out.representatives.spread[at];
  }
  out.report.points_used = x.rows;
  out.report.requested = options.n_representatives;
  out.report.note = shortfall(nodes, out.representatives.size(),
                              levels.empty() ? graph : levels.back().graph, options);
  out.report.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace ecseq::compress
