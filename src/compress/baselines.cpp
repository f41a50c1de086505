#include "ecseq/compress/baselines.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "chosen_rows.hpp"
#include "distinct_rows.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/core/stopwatch.hpp"
#include "nearest_chosen.hpp"

namespace ecseq::compress {
namespace {

/// The compression that the chosen rows make, timed by `stopwatch`.
Compression finish(MatrixView<float> x, MatrixView<float> labels, const std::vector<Index>& chosen,
                   const BaselineOptions& options, int iterations, const Stopwatch& stopwatch) {
  Compression out =
      represent_by_rows(x, labels, chosen, options.n_cases, resolve_threads(options.num_threads));
  out.report.iterations = iterations;
  out.report.requested = options.n_representatives;
  out.report.seconds = stopwatch.seconds();
  return out;
}

/// The row nearest to the mean of all.
Index central_row(MatrixView<float> x) {
  RowVector<double> mean = RowVector<double>::Zero(x.cols);
  for (Index i = 0; i < x.rows; ++i) mean += x.eigen().row(i).cast<double>();
  mean /= static_cast<double>(x.rows);
  Index best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (Index i = 0; i < x.rows; ++i) {
    const double distance = (x.eigen().row(i).cast<double>() - mean).squaredNorm();
    if (distance < least) {
      least = distance;
      best = i;
    }
  }
  return best;
}

}  // namespace

Compression random_rows(MatrixView<float> x, MatrixView<float> labels,
                        const BaselineOptions& options, const ProgressCallback& progress) {
  const Stopwatch stopwatch;
  require_compressible(x, labels, options.n_representatives);
  report(progress, {"compress", 0, 1, ""});
  DistinctRows distinct(x);
  std::vector<Index> chosen;
  for (const Index row : Rng(options.seed).permutation(x.rows)) {
    if (static_cast<Index>(chosen.size()) == options.n_representatives) break;
    if (distinct.insert(row)) chosen.push_back(row);
  }
  return finish(x, labels, chosen, options, 1, stopwatch);
}

Compression stratified_random_rows(MatrixView<float> x, MatrixView<float> labels,
                                   const std::vector<int>& group, std::vector<Index> counts,
                                   const BaselineOptions& options,
                                   const ProgressCallback& progress) {
  const Stopwatch stopwatch;
  BaselineOptions asked = options;
  for (std::size_t g = 0; g < counts.size(); ++g) {
    if (counts[g] < 0) {
      throw InvalidArgument("counts: group " + std::to_string(g) + ": expected at least 0, got " +
                            std::to_string(counts[g]));
    }
    asked.n_representatives = (g == 0 ? 0 : asked.n_representatives) + counts[g];
  }
  require_compressible(x, labels, asked.n_representatives);
  if (static_cast<Index>(group.size()) != x.rows ||
      *std::min_element(group.begin(), group.end()) < 0) {
    throw InvalidArgument("group: expected a number of at least 0 for each row of X");
  }
  report(progress, {"compress", 0, 1, ""});
  const auto n_groups = static_cast<std::size_t>(*std::max_element(group.begin(), group.end()) + 1);
  // In random order, the first rows of each value.
  DistinctRows distinct(x);
  std::vector<std::vector<Index>> rows(n_groups);
  for (const Index row : Rng(options.seed).permutation(x.rows)) {
    if (distinct.insert(row)) {
      rows[static_cast<std::size_t>(group[static_cast<std::size_t>(row)])].push_back(row);
    }
  }
  if (counts.empty()) {
    if (asked.n_representatives < static_cast<Index>(n_groups)) {
      throw InvalidArgument("n_representatives: at least one is needed for each of " +
                            std::to_string(n_groups) + " groups, got " +
                            std::to_string(asked.n_representatives));
    }
    std::vector<Index> available;
    for (const auto& members : rows) available.push_back(static_cast<Index>(members.size()));
    counts = balanced_counts(asked.n_representatives, available);
  }
  if (counts.size() != n_groups) {
    throw InvalidArgument("counts: " + std::to_string(counts.size()) + " numbers given for " +
                          std::to_string(n_groups) + " groups");
  }
  std::vector<Index> chosen;
  for (std::size_t g = 0; g < n_groups; ++g) {
    if (counts[g] > static_cast<Index>(rows[g].size())) {
      throw InvalidArgument("counts: group " + std::to_string(g) + ": " +
                            std::to_string(counts[g]) + " asked for, but it has only " +
                            std::to_string(rows[g].size()) + " distinct rows of its own");
    }
    chosen.insert(chosen.end(), rows[g].begin(), rows[g].begin() + counts[g]);
  }
  return finish(x, labels, chosen, asked, 1, stopwatch);
}

Compression k_center(MatrixView<float> x, MatrixView<float> labels, const BaselineOptions& options,
                     const ProgressCallback& progress) {
  const Stopwatch stopwatch;
  require_compressible(x, labels, options.n_representatives);
  NearestChosen nearest(x, resolve_threads(options.num_threads));
  std::vector<Index> chosen{central_row(x)};
  while (static_cast<Index>(chosen.size()) < options.n_representatives) {
    report(progress,
           {"compress", static_cast<Index>(chosen.size()), options.n_representatives, ""});
    nearest.choose(chosen.back());
    chosen.push_back(nearest.farthest());
  }
  return finish(x, labels, chosen, options, static_cast<int>(chosen.size()), stopwatch);
}

Compression medoids(MatrixView<float> x, MatrixView<float> labels, const KMeansOptions& options,
                    const ProgressCallback& progress) {
  const Stopwatch stopwatch;
  require_compressible(x, labels, options.n_representatives);
  KMeansOptions with_medoid = options;
  with_medoid.n_cases = 1;
  const Compression centroids = kmeans(x, labels, with_medoid, progress);
  std::vector<Index> chosen;
  for (Index j = 0; j < centroids.representatives.size(); ++j) {
    chosen.push_back(centroids.representatives.medoid(j));
  }
  Compression out =
      finish(x, labels, chosen,
             {options.n_representatives, options.n_cases, options.seed, options.num_threads},
             options.iterations, stopwatch);
  out.report.points_used = centroids.report.points_used;
  return out;
}

}  // namespace ecseq::compress
