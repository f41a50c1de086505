#include "ecseq/compress/grain.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <queue>
#include <string>
#include <utility>

#include "chosen_rows.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/graph/epsilon_graph.hpp"
#include "ecseq/graph/normalized_adjacency.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kSampledPairs = 100'000;

/// What nodes cover: balls around what they influence.
class Coverage {
 public:
  Coverage(const graph::NormalizedAdjacency& adjacency, const graph::SparseGraph& balls)
      : adjacency_(adjacency), balls_(balls), covered_(static_cast<std::size_t>(balls.size())) {}

  /// Marks of the nodes met in one evaluation, so that each counts once.
  struct Workspace {
    explicit Workspace(Index n)
        : influenced(static_cast<std::size_t>(n), -1), counted(influenced) {}
    std::vector<Index> influenced, counted;  ///< [N], the evaluation that met it last
    Index evaluation = 0;
  };

  /// Nodes that v would cover first.
  Index gain(Index v, Workspace& work) const {
    Index count = 0;
    visit(v, work, [&](Index w) { count += covered_[static_cast<std::size_t>(w)] == 0; });
    return count;
  }
  void choose(Index v, Workspace& work) {
    visit(v, work, [&](Index w) { covered_[static_cast<std::size_t>(w)] = 1; });
  }

 private:
  /// body(w) once for each w in cover(v).
  template <class Body>
  void visit(Index v, Workspace& work, const Body& body) const {
    const Index now = work.evaluation++;
    const auto first_time = [now](std::vector<Index>& last, Index node) {
      return std::exchange(last[static_cast<std::size_t>(node)], now) != now;
    };
    const auto cover = [&](Index w) {
      if (first_time(work.counted, w)) body(w);
    };
    for (const Index between : adjacency_.columns_of(v)) {
      for (const Index u : adjacency_.columns_of(between)) {
        if (!first_time(work.influenced, u)) continue;
        cover(u);
        for (const Index w : balls_.neighbors_of(u)) cover(w);
      }
    }
  }

  const graph::NormalizedAdjacency& adjacency_;
  const graph::SparseGraph& balls_;
  std::vector<unsigned char> covered_;  ///< [N]
};

/// A node, and what it covered when it was evaluated: an upper bound later on.
struct Candidate {
  Index gain = 0;
  Index node = 0;
  Index chosen_before = 0;
  /// Of lower rank: the queue gives the highest gain first and the lower node on ties.
  bool operator<(const Candidate& other) const {
    return gain != other.gain ? gain < other.gain : node > other.node;
  }
};

std::vector<Candidate> evaluate_all(const Coverage& coverage, Index n, int threads,
                                    const ProgressCallback& progress) {
  std::vector<Candidate> candidates(static_cast<std::size_t>(n));
  const Index chunk = std::max<Index>(1024, n / 256);  // each needs marks of its own
  const Index round = chunk * threads;
  for (Index first = 0; first < n; first += round) {
    report(progress, {"compress", 0, n, "coverage"});
    parallel_chunks(std::min(round, n - first), chunk, threads, [&](Index begin, Index end) {
      Coverage::Workspace work(n);
      for (Index v = first + begin; v < first + end; ++v) {
        candidates[static_cast<std::size_t>(v)] = {coverage.gain(v, work), v, 0};
      }
    });
  }
  return candidates;
}

/// Fills chosen and gains.
void choose_greedily(Coverage coverage, MatrixView<float> x, Index k, int threads,
                     const ProgressCallback& progress, GrainResult& out) {
  std::priority_queue<Candidate> queue(std::less<Candidate>(),
                                       evaluate_all(coverage, x.rows, threads, progress));
  Coverage::Workspace work(x.rows);
  DistinctRows distinct(x);
  while (!queue.empty() && static_cast<Index>(out.chosen.size()) < k) {
    const auto n_chosen = static_cast<Index>(out.chosen.size());
    Candidate best = queue.top();
    if (best.gain == 0) break;
    queue.pop();
    if (best.chosen_before < n_chosen) {
      best.gain = coverage.gain(best.node, work);
      best.chosen_before = n_chosen;
      queue.push(best);
      continue;
    }
    if (!distinct.insert(best.node)) continue;
    report(progress, {"compress", n_chosen, k, ""});
    coverage.choose(best.node, work);
    out.chosen.push_back(best.node);
    out.gains.push_back(best.gain);
  }
}

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

void validate(const GrainOptions& options, MatrixView<float> x, const graph::SparseGraph& graph) {
  if (!(options.radius >= 0.0 && options.radius <= 1.0)) {
    throw InvalidArgument("radius: expected a share in [0, 1], got " +
                          std::to_string(options.radius));
  }
  if (!(options.scale_quantile > 0.0 && options.scale_quantile <= 1.0)) {
    throw InvalidArgument("scale_quantile: expected a share in (0, 1], got " +
                          std::to_string(options.scale_quantile));
  }
  if (graph.size() != x.rows) {
    throw InvalidArgument("graph: expected a node for each of the " + std::to_string(x.rows) +
                          " rows of X, got " + std::to_string(graph.size()));
  }
}

}  // namespace

GrainResult grain(MatrixView<float> x, MatrixView<float> labels, const graph::SparseGraph& graph,
                  const GrainOptions& options, const ProgressCallback& progress) {
  const auto start = std::chrono::steady_clock::now();
  validate(options, x, graph);
  require_compressible(x, labels, options.n_representatives);
  const int threads = resolve_threads(options.num_threads);
  const graph::NormalizedAdjacency adjacency(graph);
  Matrix<float> once, smooth;
  adjacency.propagate(x.eigen(), 0.0F, 1.0F, threads, once);
  adjacency.propagate(once, 0.0F, 1.0F, threads, smooth);

  GrainResult out;
  out.distance_scale = sampled_distance(smooth, options.scale_quantile, options.seed);
  graph::EpsilonGraphOptions ball_options;
  ball_options.max_edges = options.max_edges;
  ball_options.num_threads = threads;
  const graph::SparseGraph balls =
      graph::epsilon_graph(smooth, options.radius * out.distance_scale, ball_options, progress);
  choose_greedily(Coverage(adjacency, balls), x, options.n_representatives, threads, progress, out);

  out.compression = represent_by_rows(x, labels, out.chosen, options.n_cases, threads);
  out.compression.report.iterations = static_cast<int>(out.chosen.size());
  out.compression.report.requested = options.n_representatives;
  out.compression.report.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace ecseq::compress
