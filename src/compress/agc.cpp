#include "ecseq/compress/agc.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "chosen_rows.hpp"
#include "ecseq/compress/grouping.hpp"
#include "ecseq/compress/kmeans.hpp"
#include "ecseq/core/group_means.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/core/stopwatch.hpp"
#include "ecseq/graph/normalized_adjacency.hpp"
#include "node_per_row.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kChunk = 4096;

/// x^T x in double, by chunks that are added in order.
Matrix<double> gram(const Matrix<float>& x, int threads) {
  const Index chunks = (x.rows() + kChunk - 1) / kChunk;
  std::vector<Matrix<double>> parts(static_cast<std::size_t>(chunks));
  parallel_chunks(x.rows(), kChunk, threads, [&](Index begin, Index end) {
    const Matrix<double> rows = x.middleRows(begin, end - begin).cast<double>();
    parts[static_cast<std::size_t>(begin / kChunk)].noalias() = rows.transpose() * rows;
  });
  Matrix<double> sum = Matrix<double>::Zero(x.cols(), x.cols());
  for (const auto& part : parts) sum += part;
  return sum;
}

/// The mean over clusters of the mean squared distance of two members; 0 for a single member.
double cluster_distance(const Matrix<float>& x, const std::vector<std::int64_t>& cluster,
                        Index n_clusters) {
  const auto [mean, count] = group_means(x, cluster, n_clusters);
  std::vector<double> squares(count.size(), 0.0);
  for (Index i = 0; i < x.rows(); ++i) {
    const auto c = cluster[static_cast<std::size_t>(i)];
    squares[static_cast<std::size_t>(c)] += (x.row(i).cast<double>() - mean.row(c)).squaredNorm();
  }
  // sum over i != j of |x_i - x_j|^2 = 2 n sum of |x_i - mean|^2, over n (n - 1) pairs.
  double sum = 0.0;
  for (std::size_t c = 0; c < count.size(); ++c) {
    if (count[c] > 1.0) sum += 2.0 * squares[c] / (count[c] - 1.0);
  }
  return sum / static_cast<double>(n_clusters);
}

void validate(const AgcOptions& options, MatrixView<float> x, const graph::SparseGraph& graph) {
  require_at_least("power", options.power, 0);
  require_at_least("max_power", options.max_power, 1);
  require_at_least("rank", options.rank, 0);
  require_node_per_row(graph, x);
  graph::validate(graph);
}

}  // namespace

Matrix<float> left_singular_vectors(const Matrix<float>& x, Index rank, int threads) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram(x, threads));
  const auto& squares = solver.eigenvalues();  // of the singular values, increasing
  const Index h = x.cols();
  // Below this a direction of float features holds nothing but their rounding.
  const double rounding = std::pow(static_cast<double>(std::numeric_limits<float>::epsilon()), 2);
  const double least = rounding * static_cast<double>(h) * squares[h - 1];
  Index kept = 0;
  while (kept < std::min(rank, h) && squares[h - 1 - kept] > least) ++kept;
  Eigen::MatrixXd map(h, kept);  // V S^-1
  for (Index m = 0; m < kept; ++m) {
    map.col(m) = solver.eigenvectors().col(h - 1 - m) / std::sqrt(squares[h - 1 - m]);
  }
  Matrix<float> out(x.rows(), kept);
  parallel_chunks(x.rows(), kChunk, threads, [&](Index begin, Index end) {
    const Matrix<double> rows = x.middleRows(begin, end - begin).cast<double>();
    out.middleRows(begin, end - begin) = (rows * map).cast<float>();
  });
  return out;
}

AgcResult agc(MatrixView<float> x, MatrixView<float> labels, const graph::SparseGraph& graph,
              const AgcOptions& options, const ProgressCallback& progress) {
  const Stopwatch stopwatch;
  validate(options, x, graph);
  require_compressible(x, labels, options.n_representatives);
  const int threads = resolve_threads(options.num_threads);
  const graph::NormalizedAdjacency adjacency(graph);
  const bool chosen = options.power == 0;
  const int last = chosen ? options.max_power : options.power;
  const Matrix<float> no_labels(x.rows, 0);

  Matrix<float> smooth = x.eigen(), next;
  std::vector<std::int64_t> cluster;
  AgcResult out;
  for (int power = 1; power <= last; ++power) {
    report(progress, {"compress", power - 1, last, "power " + std::to_string(power)});
    adjacency.propagate(smooth, 0.5F, 0.5F, threads, next);
    smooth.swap(next);
    if (!chosen && power < last) continue;
    const Index rank = options.rank > 0 ? options.rank : x.cols;
    Matrix<float> features = left_singular_vectors(smooth, rank, threads);
    if (features.cols() == 0) features = Matrix<float>::Zero(x.rows, 1);  // all rows are zeros
    KMeansOptions kmeans_options;
    kmeans_options.n_representatives = count_distinct_rows(features, options.n_representatives);
    kmeans_options.iterations = options.iterations;
    kmeans_options.n_cases = 1;
    kmeans_options.seed = options.seed;
    kmeans_options.num_threads = threads;
    Compression found = kmeans(features, no_labels, kmeans_options, [&](const Progress&) {
      return !progress || progress({"compress", power - 1, last, ""});
    });
    const double distance =
        cluster_distance(smooth, found.assignment, found.representatives.size());
    out.cluster_distances.push_back(distance);
    const std::size_t tried = out.cluster_distances.size();
    if (tried > 1 && distance > out.cluster_distances[tried - 2]) break;
    cluster = std::move(found.assignment);
    out.power = power;
  }
  out.compression =
      represent_grouping(x, labels, {std::move(cluster), {}}, options.n_cases, threads);
  out.compression.report.iterations = options.iterations;
  out.compression.report.requested = options.n_representatives;
  out.compression.report.seconds = stopwatch.seconds();
  return out;
}

}  // namespace ecseq::compress
