#include "ecseq/compress/grain.hpp"

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <utility>

#include "ball_coverage.hpp"
#include "chosen_rows.hpp"
#include "distinct_rows.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/core/stopwatch.hpp"
#include "ecseq/graph/normalized_adjacency.hpp"
#include "nearest_influenced.hpp"
#include "node_per_row.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kSampledPairs = 100'000;

/// The quantile of the distances of random pairs of rows.
double sampled_distance(const Matrix<float>& x, double quantile, std::uint64_t seed) {
  if (x.rows() < 2) return 0.0;
  Rng rng(seed);
  std::vector<double> distances;
  for (Index pair = 0; pair < kSampledPairs; ++pair) {
    const Index i = rng.below(x.rows());
    const Index j = (i + 1 + rng.below(x.rows() - 1)) % x.rows();
    distances.push_back((x.row(i).cast<double>() - x.row(j).cast<double>()).norm());
  }
  std::sort(distances.begin(), distances.end());
  return distances[static_cast<std::size_t>(quantile * static_cast<double>(kSampledPairs - 1))];
}

/// Nodes on which gains are counted, increasing.
std::vector<Index> choose_witnesses(Index n, const GrainOptions& options) {
  std::vector<Index> witnesses(static_cast<std::size_t>(n));
  std::iota(witnesses.begin(), witnesses.end(), Index{0});
  const Index automatic = options.diversity == "ball" ? 16'384 : 1'024;
  const Index wanted = options.max_witnesses > 0 ? options.max_witnesses : automatic;
  if (n <= wanted) return witnesses;
  Rng(options.seed, 1).shuffle(witnesses);
  witnesses.resize(static_cast<std::size_t>(wanted));
  std::sort(witnesses.begin(), witnesses.end());
  return witnesses;
}

void validate(const GrainOptions& options, MatrixView<float> x, const graph::SparseGraph& graph) {
  require_one_of("diversity", options.diversity, {"ball", "nearest"});
  require_at_least("max_witnesses", options.max_witnesses, 0);
  if (!(options.radius >= 0.0 && options.radius <= 1.0)) {
    throw InvalidArgument("radius: expected a share in [0, 1], got " +
                          std::to_string(options.radius));
  }
  if (!(options.scale_quantile > 0.0 && options.scale_quantile <= 1.0)) {
    throw InvalidArgument("scale_quantile: expected a share in (0, 1], got " +
                          std::to_string(options.scale_quantile));
  }
  require_node_per_row(graph, x);
  graph::validate(graph);
}

}  // namespace

GrainResult grain(MatrixView<float> x, MatrixView<float> labels, const graph::SparseGraph& graph,
                  const GrainOptions& options, const ProgressCallback& progress) {
  const Stopwatch stopwatch;
  validate(options, x, graph);
  require_compressible(x, labels, options.n_representatives);
  const int threads = resolve_threads(options.num_threads);
  const graph::NormalizedAdjacency adjacency(graph);
  Matrix<float> once, smooth;
  report(progress, {"compress", 0, 2, "smoothing"});
  adjacency.propagate(x.eigen(), 0.0F, 1.0F, threads, once);
  report(progress, {"compress", 1, 2, "smoothing"});
  adjacency.propagate(once, 0.0F, 1.0F, threads, smooth);
  once.resize(0, 0);

  GrainResult out;
  out.distance_scale = sampled_distance(smooth, options.scale_quantile, options.seed);
  const std::vector<Index> witnesses = choose_witnesses(x.rows, options);
  out.n_witnesses = static_cast<Index>(witnesses.size());
  std::unique_ptr<GreedyObjective> objective;
  if (options.diversity == "ball") {
    objective = std::make_unique<BallCoverage>(
        adjacency, smooth, options.radius * out.distance_scale, witnesses, threads, progress);
  } else {
    objective = std::make_unique<NearestInfluenced>(adjacency, smooth, out.distance_scale,
                                                    witnesses, threads, progress);
  }
  DistinctRows distinct(x);
  GreedyChoice choice = choose_greedily(
      *objective, x.rows, options.n_representatives, [&](Index v) { return distinct.insert(v); },
      threads, progress);
  objective.reset();
  out.chosen = std::move(choice.chosen);
  out.gains = std::move(choice.gains);

  out.compression = represent_by_rows(x, labels, out.chosen, options.n_cases, threads);
  const auto n_chosen = static_cast<Index>(out.chosen.size());
  if (n_chosen < options.n_representatives) {
    out.compression.report.note =
        "with " + std::to_string(n_chosen) + " rows chosen no other one adds anything: " +
        (options.diversity == "ball" ? "all are covered" : "all are near");
  }
  out.compression.report.iterations = static_cast<int>(n_chosen);
  out.compression.report.requested = options.n_representatives;
  out.compression.report.seconds = stopwatch.seconds();
  return out;
}

}  // namespace ecseq::compress
