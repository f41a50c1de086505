#include "ecseq/graph/epsilon_graph.hpp"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/core/sequences.hpp"
#include "metric_space.hpp"

namespace ecseq::graph {
namespace {

constexpr Index kChunk = 512;

/// The edges of a row to higher rows, increasing.
using HigherEdges = std::vector<std::pair<std::int32_t, float>>;

struct Bound {
  Index max_edges = 0;
  std::string advice;
};

/// Both directions of edges that stand at their lower end. Frees each list once it is used.
SparseGraph both_ways(std::vector<HigherEdges> higher) {
  const auto n = static_cast<Index>(higher.size());
  SparseGraph graph;
  graph.offsets.assign(higher.size() + 1, 0);
  for (Index i = 0; i < n; ++i) {
    graph.offsets[static_cast<std::size_t>(i) + 1] +=
        static_cast<Index>(higher[static_cast<std::size_t>(i)].size());
    for (const auto& [j, weight] : higher[static_cast<std::size_t>(i)]) {
      ++graph.offsets[static_cast<std::size_t>(j) + 1];
    }
  }
  for (std::size_t i = 1; i < graph.offsets.size(); ++i) graph.offsets[i] += graph.offsets[i - 1];
  graph.neighbors.resize(static_cast<std::size_t>(graph.offsets.back()));
  graph.weights.resize(graph.neighbors.size());
  // Row i is complete below i when the loop reaches it: lower rows have written themselves there.
  std::vector<Index> next(graph.offsets.begin(), graph.offsets.end() - 1);
  const auto append = [&](Index row, Index neighbor, float weight) {
    const auto at = static_cast<std::size_t>(next[static_cast<std::size_t>(row)]++);
    graph.neighbors[at] = static_cast<std::int32_t>(neighbor);
    graph.weights[at] = weight;
  };
  for (Index i = 0; i < n; ++i) {
    for (const auto& [j, weight] : higher[static_cast<std::size_t>(i)]) {
      append(i, j, weight);
      append(j, i, weight);
    }
    HigherEdges().swap(higher[static_cast<std::size_t>(i)]);
  }
  return graph;
}

/// All pairs at most `radius` apart; weight: distance -> weight of the edge.
template <class Weight>
SparseGraph pairs_within(const MetricSpace& space, double radius, const Bound& bound,
                         const Weight& weight, int threads, const ProgressCallback& progress) {
  const Index n = space.rows().rows();
  const kernels::PackedDense points = space.pack(0, n);
  constexpr Index kTilePoints = kernels::PackedDense::kTilePanels * kernels::kLanes<float>;
  std::vector<HigherEdges> higher(static_cast<std::size_t>(n));
  const Index round = kChunk * threads;
  Index edges = 0;
  for (Index first = 0; first < n; first += round) {
    report(progress, {"graph", first, n, ""});
    const Index rows = std::min(round, n - first);
    parallel_chunks(rows, kChunk, threads, [&](Index begin, Index end) {
      begin += first;
      end += first;
      std::vector<float> threshold;
      for (Index i = begin; i < end; ++i) threshold.push_back(space.score_within(i, radius));
      const Index panel = begin / kTilePoints * kernels::PackedDense::kTilePanels;
      Index found = 0;
      kernels::visit_scores(points, panel, points.panels() - panel, space.rows().row(begin).data(),
                            end - begin, threshold.data(), [&](Index q, Index j, float) {
                              const Index i = begin + q;
                              if (j <= i || found > bound.max_edges) return;
                              const double distance = space.distance(i, j);
                              if (!(distance <= radius)) return;
                              higher[static_cast<std::size_t>(i)].emplace_back(
                                  static_cast<std::int32_t>(j), weight(distance));
                              ++found;
                            });
    });
    for (Index i = first; i < first + rows; ++i) {
      edges += static_cast<Index>(higher[static_cast<std::size_t>(i)].size());
    }
    if (edges > bound.max_edges) {
      throw InvalidArgument("max_edges: more than " + std::to_string(bound.max_edges) +
                            " edges after " + std::to_string(first + rows) + " of " +
                            std::to_string(n) + " rows; " + bound.advice);
    }
  }
  return both_ways(std::move(higher));
}

/// Each series minus its mean; a series that does not vary becomes zeros.
Matrix<float> deviations(MatrixView<float> series) {
  Matrix<float> out(series.rows, series.cols);
  for (Index i = 0; i < series.rows; ++i) {
    const float* values = series.row(i);
    double mean = 0.0;
    bool varies = false;
    for (Index t = 0; t < series.cols; ++t) {
      mean += values[t];
      varies = varies || values[t] != values[0];
    }
    mean /= static_cast<double>(series.cols);
    for (Index t = 0; t < series.cols; ++t) {
      out(i, t) = varies ? static_cast<float>(values[t] - mean) : 0.0F;
    }
  }
  return out;
}

}  // namespace

SparseGraph epsilon_graph(MatrixView<float> x, double radius, const EpsilonGraphOptions& options,
                          const ProgressCallback& progress) {
  require_one_of("metric", options.metric, {"euclidean", "cosine"});
  if (!(radius >= 0.0 && std::isfinite(radius))) {
    throw InvalidArgument("radius: expected a distance of at least 0, got " +
                          std::to_string(radius));
  }
  require_at_least("max_edges", options.max_edges, 0);
  require_finite(x, "X");
  return pairs_within(
      MetricSpace(x, options.metric), radius,
      {options.max_edges,
       "take a smaller radius, raise max_edges, or use a k-nearest-neighbour graph"},
      [](double) { return 1.0F; }, resolve_threads(options.num_threads), progress);
}

SparseGraph correlation_graph(MatrixView<float> series, double threshold,
                              const CorrelationGraphOptions& options,
                              const ProgressCallback& progress) {
  if (!(threshold > 0.0 && threshold <= 1.0)) {
    throw InvalidArgument("threshold: expected a correlation in (0, 1], got " +
                          std::to_string(threshold));
  }
  require_at_least("max_edges", options.max_edges, 0);
  require_finite(series, "series");
  // Pearson's correlation is the cosine of the deviations from the mean.
  return pairs_within(
      MetricSpace(deviations(series), "cosine"), 1.0 - threshold,
      {options.max_edges, "take a higher threshold or raise max_edges"},
      [](double distance) { return static_cast<float>(1.0 - distance); },
      resolve_threads(options.num_threads), progress);
}

}  // namespace ecseq::graph
