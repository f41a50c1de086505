#include "ecseq/compress/kmeans.hpp"

#include <faiss/Clustering.h>
#include <faiss/Index.h>
#include <faiss/utils/random.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "bounded_assignment.hpp"
#include "distinct_rows.hpp"
#include "ecseq/compress/grouping.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/core/sequences.hpp"
#include "ecseq/core/single_threaded_openmp.hpp"
#include "ecseq/core/stopwatch.hpp"
#include "ecseq/kernels/nearest.hpp"
#include "kmeans_plus_plus.hpp"
#include "refill_clusters.hpp"
#include "rows_by_panel.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kChunk = 1024;

/// Nearest centroid of every row; the same bits for every thread count. By bounds where these pay.
class Assigner {
 public:
  Assigner(Index k, int threads) : k_(k), threads_(threads), bounded_(threads) {}

  /// centroids: [K, h]; x: [N, h], the same rows whenever it is the same memory; labels,
  /// distances: [N].
  void assign(MatrixView<float> centroids, MatrixView<float> x, std::int64_t* labels,
              float* distances) {
    if (BoundedAssignment::worthwhile(x.rows, k_)) {
      return bounded_.assign(centroids, x, labels, distances);
    }
    const kernels::PackedDense points = kernels::pack_points(centroids);
    parallel_chunks(x.rows, kChunk, threads_, [&](Index begin, Index end) {
      kernels::assign_nearest(points, x.row(begin), end - begin, labels + begin, distances + begin);
    });
  }

 private:
  Index k_;
  int threads_;
  BoundedAssignment bounded_;
};

int faiss_seed(const KMeansOptions& options) { return static_cast<int>(options.seed & 0x7fffffff); }

/// FAISS's row number; the name moved from faiss::Index to faiss between releases.
using FaissRow = decltype(faiss::Index::ntotal);

/// The index handed to FAISS: its k-means at the speed of our assignment.
class FusedAssigner final : public faiss::Index {
 public:
  FusedAssigner(ecseq::Index dimensions, Assigner& assigner, int iterations,
                const ProgressCallback& progress)
      : faiss::Index(dimensions),
        assigner_(assigner),
        iterations_(iterations),
        progress_(progress) {
    is_trained = true;
  }
  void add(FaissRow n, const float* x) override {
    centroids_ = MatrixView<float>(x, n, d).eigen();
    ntotal = n;
  }
  void reset() override { ntotal = 0; }
  void search(FaissRow n, const float* x, FaissRow /*k = 1*/, float* distances, FaissRow* labels,
              const faiss::SearchParameters* = nullptr) const override {
    ecseq::report(progress_, {"compress", std::min(step_++, iterations_), iterations_, ""});
    assigner_.assign(centroids_, {x, n, d}, labels, distances);
  }

 private:
  Assigner& assigner_;
  int iterations_;
  const ProgressCallback& progress_;
  mutable int step_ = 0;
  Matrix<float> centroids_;
};

bool trains_on_all(MatrixView<float> x, const KMeansOptions& options) {
  return options.max_points_per_centroid == 0 ||
         x.rows <= options.max_points_per_centroid * options.n_representatives;
}

/// What Lloyd's algorithm begins with, [K, h]; nothing where FAISS is to draw rows of a sample that
/// it draws itself.
Matrix<float> first_centroids(MatrixView<float> x, const KMeansOptions& options, int threads,
                              const ProgressCallback& progress) {
  if (options.centroids.size() > 0) return options.centroids;
  if (options.init == "kmeans++") {
    return take_rows(
        x, kmeans_plus_plus(x, options.n_representatives, options.seed, threads, progress));
  }
  if (!trains_on_all(x, options)) return {};
  // The rows that FAISS would draw.
  std::vector<int> drawn(static_cast<std::size_t>(x.rows));
  faiss::rand_perm(drawn.data(), drawn.size(), faiss_seed(options) + 1);
  return take_rows(x, std::vector<Index>(drawn.begin(), drawn.begin() + options.n_representatives));
}

struct Clusters {
  Matrix<float> centroids;               ///< [K, h]
  std::vector<std::int64_t> assignment;  ///< [N]
  std::vector<float> distances;          ///< [N] squared
};

/// Lloyd's centroids, [K, h], from the first ones; some may be duplicates or own no row.
Matrix<float> train_centroids(MatrixView<float> x, const Matrix<float>& first,
                              const KMeansOptions& options, Assigner& assigner,
                              const ProgressCallback& progress) {
  // FAISS adds up the centroids with OpenMP, a small part of the work: on one thread, because a
  // team that has nothing to do would spin on the cores that our own threads need.
  const SingleThreadedOpenMp scope;
  faiss::ClusteringParameters parameters;
  parameters.niter = options.iterations;
  parameters.seed = faiss_seed(options);
  parameters.spherical = options.spherical;
  parameters.min_points_per_centroid = 1;
  parameters.max_points_per_centroid = static_cast<int>(
      trains_on_all(x, options) ? x.rows / options.n_representatives + 1
                                : std::min<Index>(options.max_points_per_centroid, 1 << 30));
  faiss::Clustering clustering(static_cast<int>(x.cols),
                               static_cast<int>(options.n_representatives), parameters);
  clustering.centroids.assign(first.data(), first.data() + first.size());
  FusedAssigner index(x.cols, assigner, options.iterations, progress);
  clustering.train(x.rows, x.data, index);
  return Eigen::Map<const Matrix<float>>(clustering.centroids.data(), options.n_representatives,
                                         x.cols);
}

Clusters cluster(MatrixView<float> x, const Matrix<float>& first, const KMeansOptions& options,
                 int threads, const ProgressCallback& progress) {
  Assigner assigner(options.n_representatives, threads);
  Clusters out;
  out.centroids = train_centroids(x, first, options, assigner, progress);
  out.assignment.resize(static_cast<std::size_t>(x.rows));
  out.distances.resize(out.assignment.size());
  const auto assign = [&] {
    if (options.spherical) out.centroids.rowwise().normalize();
    assigner.assign(out.centroids, x, out.assignment.data(), out.distances.data());
  };
  assign();
  refill_empty_clusters(x, out.centroids, out.assignment, out.distances, assign);
  return out;
}

/// `cluster` of the rows in an order in which it takes less time.
Clusters cluster_by_panels(MatrixView<float> x, const Matrix<float>& first,
                           const KMeansOptions& options, int threads,
                           const ProgressCallback& progress) {
  const std::vector<Index> order = rows_by_panel(x, first, threads);
  const Matrix<float> ordered = take_rows(x, order);
  Clusters found = cluster(ordered, first, options, threads, progress);
  Clusters out{std::move(found.centroids), std::vector<std::int64_t>(order.size()),
               std::vector<float>(order.size())};
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto row = static_cast<std::size_t>(order[i]);
    out.assignment[row] = found.assignment[i];
    out.distances[row] = found.distances[i];
  }
  return out;
}

void validate(const KMeansOptions& options, MatrixView<float> x) {
  require_distinct_rows(x, options.n_representatives);
  require_one_of("init", options.init, {"random", "kmeans++"});
  const Matrix<float>& given = options.centroids;
  if (given.size() > 0 && (given.rows() != options.n_representatives || given.cols() != x.cols)) {
    throw InvalidArgument("centroids: expected [" + std::to_string(options.n_representatives) +
                          ", " + std::to_string(x.cols) + "], got [" +
                          std::to_string(given.rows()) + ", " + std::to_string(given.cols()) + "]");
  }
  require_finite(given, "centroids");
}

/// The rows of x at length 1.
Matrix<float> directions(MatrixView<float> x) {
  Matrix<float> out(x.rows, x.cols);
  for (Index i = 0; i < x.rows; ++i) {
    const double norm = x.eigen().row(i).cast<double>().norm();
    if (!(norm > 0.0)) {
      throw InvalidArgument("X: row " + std::to_string(i) +
                            " is zero, which has no direction for spherical k-means");
    }
    out.row(i) = (x.eigen().row(i).cast<double>() / norm).cast<float>();
  }
  return out;
}

/// Distances are computed from products, |x|^2 - 2 x.c + |c|^2, so far from the origin the digits
/// that matter would be lost: there, the rows less their mean, [N, h], and the mean. Else nothing.
struct Centred {
  Matrix<float> rows;
  RowVector<double> mean;

  explicit Centred(MatrixView<float> x) : mean(RowVector<double>::Zero(x.cols)) {
    constexpr double kFar = 100.0;  // squared distance of the mean in variances
    RowVector<double> squares = mean;
    for (Index i = 0; i < x.rows; ++i) {
      const auto row = x.eigen().row(i).cast<double>();
      mean += row;
      squares += row.cwiseAbs2();
    }
    mean /= static_cast<double>(x.rows);
    const double variance = squares.sum() / static_cast<double>(x.rows) - mean.squaredNorm();
    if (mean.squaredNorm() <= kFar * variance) return;
    rows = (x.eigen().cast<double>().rowwise() - mean).cast<float>();
  }
  bool needed() const { return rows.size() > 0; }
};

/// k-means of rows that are as they shall be clustered.
Compression lloyd(MatrixView<float> x, MatrixView<float> labels, const KMeansOptions& options,
                  const ProgressCallback& progress) {
  const Stopwatch stopwatch;
  const int threads = resolve_threads(options.num_threads);
  const Matrix<float> first = first_centroids(x, options, threads, progress);
  // To order the rows takes longer than a few iterations save.
  constexpr int kFewIterations = 4;
  const bool by_panels = BoundedAssignment::worthwhile(x.rows, options.n_representatives) &&
                         trains_on_all(x, options) && options.iterations > kFewIterations;
  Clusters clusters = by_panels ? cluster_by_panels(x, first, options, threads, progress)
                                : cluster(x, first, options, threads, progress);
  Compression out;
  out.assignment = std::move(clusters.assignment);
  out.representatives.vectors = std::move(clusters.centroids);
  describe(out.representatives, x, labels, out.assignment, options.n_cases);

  out.report.iterations = options.iterations;
  out.report.objective = std::accumulate(clusters.distances.begin(), clusters.distances.end(), 0.0);
  out.report.points_used = trains_on_all(x, options)
                               ? x.rows
                               : options.max_points_per_centroid * options.n_representatives;
  out.report.requested = options.n_representatives;
  out.report.seconds = stopwatch.seconds();
  return out;
}

}  // namespace

Compression kmeans(MatrixView<float> rows, MatrixView<float> labels, const KMeansOptions& options,
                   const ProgressCallback& progress) {
  if (options.spherical) {
    const Matrix<float> unit = directions(rows);
    validate(options, unit);
    return lloyd(unit, labels, options, progress);
  }
  validate(options, rows);
  const Centred centred(rows);
  if (!centred.needed()) return lloyd(rows, labels, options, progress);
  KMeansOptions shifted = options;
  const auto shift = [&centred](Matrix<float>& vectors, double sign) {
    vectors = (vectors.cast<double>().rowwise() + sign * centred.mean).cast<float>();
  };
  if (shifted.centroids.size() > 0) shift(shifted.centroids, -1.0);
  Compression out = lloyd(centred.rows, labels, shifted, progress);
  shift(out.representatives.vectors, 1.0);
  return out;
}

std::vector<Index> balanced_counts(Index total, const std::vector<Index>& distinct) {
  std::vector<Index> counts(distinct.size(), 0);
  std::vector<bool> open(distinct.size(), true);
  Index left = total;
  auto n_open = static_cast<Index>(distinct.size());
  // Groups that cannot fill their share are settled first; the rest is shared out again.
  for (bool settled = true; settled && n_open > 0;) {
    settled = false;
    const Index share = std::max<Index>(1, left / n_open);
    for (std::size_t g = 0; g < distinct.size(); ++g) {
      if (!open[g] || distinct[g] > share) continue;
      counts[g] = distinct[g];
      left -= counts[g];
      open[g] = false;
      --n_open;
      settled = true;
    }
  }
  for (std::size_t g = 0; g < distinct.size(); ++g) {
    if (!open[g]) continue;
    counts[g] = std::clamp<Index>((left + n_open - 1) / n_open, 1, distinct[g]);
    left -= counts[g];
    --n_open;
  }
  return counts;
}

Compression balanced_kmeans(MatrixView<float> x, MatrixView<float> labels,
                            const std::vector<int>& group, std::vector<Index> counts,
                            const KMeansOptions& options, const ProgressCallback& progress) {
  const Stopwatch stopwatch;
  if (options.centroids.size() > 0) {
    throw InvalidArgument("centroids: balanced k-means starts each group by init");
  }
  const auto n_groups = static_cast<std::size_t>(*std::max_element(group.begin(), group.end()) + 1);
  std::vector<std::vector<Index>> rows(n_groups);
  for (std::size_t i = 0; i < group.size(); ++i) {
    rows[static_cast<std::size_t>(group[i])].push_back(static_cast<Index>(i));
  }
  std::vector<Matrix<float>> parts;
  for (const auto& members : rows) parts.push_back(take_rows(x, members));
  if (counts.empty()) {
    if (options.n_representatives < static_cast<Index>(n_groups)) {
      throw InvalidArgument("n_representatives: balanced k-means needs at least one for each of " +
                            std::to_string(n_groups) + " groups, got " +
                            std::to_string(options.n_representatives));
    }
    require_distinct_rows(x, options.n_representatives);
    std::vector<Index> distinct;
    for (const auto& part : parts) {
      distinct.push_back(count_distinct_rows(part, options.n_representatives));
    }
    counts = balanced_counts(options.n_representatives, distinct);
  } else if (counts.size() != n_groups) {
    throw InvalidArgument("n_representatives: " + std::to_string(counts.size()) +
                          " numbers given for " + std::to_string(n_groups) + " groups");
  }

  Compression out;
  out.assignment.resize(group.size());
  std::vector<Matrix<float>> centroids;
  Index total = 0;
  for (std::size_t g = 0; g < n_groups; ++g) {
    if (rows[g].empty()) continue;
    KMeansOptions part_options = options;
    part_options.n_representatives = counts[g];
    part_options.seed = options.seed + g;
    const Matrix<float> part_labels = take_rows(labels, rows[g]);
    Compression part = kmeans(parts[g], part_labels, part_options, progress);
    for (std::size_t i = 0; i < rows[g].size(); ++i) {
      out.assignment[static_cast<std::size_t>(rows[g][i])] = total + part.assignment[i];
    }
    total += part.representatives.size();
    out.report.objective += part.report.objective;
    out.report.points_used += part.report.points_used;
    out.report.requested += counts[g];
    centroids.push_back(std::move(part.representatives.vectors));
  }
  Grouping groups{std::move(out.assignment), Matrix<float>(total, x.cols)};
  Index row = 0;
  for (const auto& part : centroids) {
    groups.vectors.middleRows(row, part.rows()) = part;
    row += part.rows();
  }
  const CompressionReport report = out.report;
  out = represent_grouping(x, labels, groups, options.n_cases, options.num_threads);
  out.report = report;
  if (out.representatives.size() < total) {
    out.report.note = std::to_string(total - out.representatives.size()) +
                      " representatives were equal to one of another group and joined it";
  }
  out.report.iterations = options.iterations;
  out.report.seconds = stopwatch.seconds();
  return out;
}

}  // namespace ecseq::compress
