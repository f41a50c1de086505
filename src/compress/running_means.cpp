#include "ecseq/compress/running_means.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "ecseq/compress/kmeans.hpp"
#include "ecseq/compress/nearest_representative.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/core/sequences.hpp"

namespace ecseq::compress {
namespace {

void require_shape(const char* name, MatrixView<float> matrix, Index rows, Index cols) {
  if (matrix.rows == rows && matrix.cols == cols) return;
  throw InvalidArgument(std::string(name) + ": expected [" + std::to_string(rows) + ", " +
                        std::to_string(cols) + "], got [" + std::to_string(matrix.rows) + ", " +
                        std::to_string(matrix.cols) + "]");
}

void validate(const UpdateOptions& options) {
  if (!(options.keep > 0.0 && options.keep <= 1.0)) {
    throw InvalidArgument("keep: expected a share in (0, 1], got " + std::to_string(options.keep));
  }
  if (!(options.reach > 0.0)) {
    throw InvalidArgument("reach: expected a number above 0, got " + std::to_string(options.reach));
  }
  require_at_least("min_mass", options.min_mass, 1);
  if (!(options.retire_below >= 0.0 && options.retire_below <= 1.0)) {
    throw InvalidArgument("retire_below: expected a mass in [0, 1], got " +
                          std::to_string(options.retire_below));
  }
}

double total(const std::vector<double>& mass) {
  return std::accumulate(mass.begin(), mass.end(), 0.0);
}

/// Distance of each row from its representative. [n]
std::vector<double> distances_from(const Matrix<double>& means, MatrixView<float> x,
                                   const std::vector<std::int64_t>& assignment) {
  std::vector<double> out;
  for (Index i = 0; i < x.rows; ++i) {
    const auto j = assignment[static_cast<std::size_t>(i)];
    out.push_back((x.eigen().row(i).cast<double>() - means.row(j)).norm());
  }
  return out;
}

/// Fills rows, mass_shift and label_shift.
Drift drift_of(const Representatives& before, MatrixView<float> labels,
               const std::vector<std::int64_t>& assignment) {
  Drift drift;
  drift.rows = labels.rows;
  if (drift.rows == 0) return drift;
  const auto n = static_cast<double>(drift.rows);
  std::vector<double> share(before.mass.size(), 0.0);
  RowVector<double> found = RowVector<double>::Zero(labels.cols), expected = found;
  for (Index i = 0; i < labels.rows; ++i) {
    const auto j = static_cast<std::size_t>(assignment[static_cast<std::size_t>(i)]);
    share[j] += 1.0 / n;
    found += labels.eigen().row(i).cast<double>() / n;
  }
  const double mass = total(before.mass);
  for (std::size_t j = 0; j < share.size(); ++j) {
    drift.mass_shift += std::abs(share[j] - before.mass[j] / mass) / 2.0;
    if (before.mass[j] > 0.0) {
      expected += share[j] / before.mass[j] * before.label_sums.row(static_cast<Index>(j));
    }
  }
  drift.label_shift = labels.cols > 0 ? (found - expected).cwiseAbs().maxCoeff() : 0.0;
  return drift;
}

/// A k-means of the rows, whose clusters count `typical` rows on average. At least one row.
Compression cluster_far_rows(MatrixView<float> x, MatrixView<float> labels, double typical,
                             const UpdateOptions& options) {
  KMeansOptions how;
  const auto wanted = static_cast<Index>(std::ceil(static_cast<double>(x.rows) / typical));
  how.n_representatives = count_distinct_rows(x, std::clamp<Index>(wanted, 1, x.rows));
  how.n_cases = 0;
  how.seed = options.seed;
  how.num_threads = options.num_threads;
  return kmeans(x, labels, how);
}

}  // namespace

RunningMeans::RunningMeans(Representatives start)
    : RunningMeans(start, start.vectors.cast<double>()) {}

RunningMeans::RunningMeans(Representatives start, Matrix<double> means)
    : representatives_(std::move(start)), means_(std::move(means)) {
  for (std::size_t j = 0; j < representatives_.mass.size(); ++j) {
    squares_.push_back(representatives_.spread[j] * representatives_.mass[j]);
  }
}

void RunningMeans::require_rows(MatrixView<float> x, MatrixView<float> labels) const {
  require_shape("X", x, x.rows, means_.cols());
  require_shape("labels", labels, x.rows, representatives_.label_sums.cols());
  require_finite(x, "X");
  require_finite(labels, "labels");
}

void RunningMeans::add_rows(MatrixView<float> x, MatrixView<float> labels,
                            const std::vector<std::int64_t>& assignment) {
  for (Index i = 0; i < x.rows; ++i) {
    const Index j = assignment[static_cast<std::size_t>(i)];
    const auto at = static_cast<std::size_t>(j);
    representatives_.mass[at] += 1.0;
    // mean += (x - mean) / n; squares += (x - old mean) . (x - new mean)  (Welford, 1962)
    for (Index k = 0; k < x.cols; ++k) {
      double& mean = means_(j, k);
      const double difference = x(i, k) - mean;
      mean += difference / representatives_.mass[at];
      squares_[at] += difference * (x(i, k) - mean);
    }
    for (Index c = 0; c < labels.cols; ++c) representatives_.label_sums(j, c) += labels(i, c);
  }
}

void RunningMeans::refresh() {
  representatives_.vectors = means_.cast<float>();
  representatives_.spread.resize(squares_.size());
  for (std::size_t j = 0; j < squares_.size(); ++j) {
    representatives_.spread[j] =
        representatives_.mass[j] > 0.0 ? squares_[j] / representatives_.mass[j] : 0.0;
  }
}

std::vector<std::int64_t> RunningMeans::partial_fit(MatrixView<float> x, MatrixView<float> labels,
                                                    int num_threads) {
  require_rows(x, labels);
  auto assignment = nearest_representative(representatives_.vectors, x, num_threads);
  add_rows(x, labels, assignment);
  refresh();
  return assignment;
}

Drift RunningMeans::update(MatrixView<float> x, MatrixView<float> labels,
                           const UpdateOptions& options) {
  validate(options);
  require_rows(x, labels);
  auto assignment = nearest_representative(representatives_.vectors, x, options.num_threads);
  Drift drift = drift_of(representatives_, labels, assignment);

  const std::vector<double> distance = distances_from(means_, x, assignment);
  std::vector<Index> far;
  for (std::size_t i = 0; i < distance.size(); ++i) {
    const double radius = representatives_.radius[static_cast<std::size_t>(assignment[i])];
    drift.beyond_radius += distance[i] > radius ? 1.0 / static_cast<double>(x.rows) : 0.0;
    if (distance[i] > options.reach * radius) far.push_back(static_cast<Index>(i));
  }

  const Index before = representatives_.size();
  const double typical = std::max(static_cast<double>(options.min_mass),
                                  total(representatives_.mass) / static_cast<double>(before));
  for (std::size_t j = 0; j < squares_.size(); ++j) {
    representatives_.mass[j] *= options.keep;
    squares_[j] *= options.keep;
  }
  representatives_.label_sums *= options.keep;

  if (static_cast<Index>(far.size()) >= options.min_mass) {
    const Compression found =
        cluster_far_rows(take_rows(x, far), take_rows(labels, far), typical, options);
    std::vector<Index> heavy;
    std::vector<std::int64_t> number(found.representatives.mass.size(), -1);
    for (std::size_t c = 0; c < number.size(); ++c) {
      if (found.representatives.mass[c] < static_cast<double>(options.min_mass)) continue;
      number[c] = before + static_cast<std::int64_t>(heavy.size());
      heavy.push_back(static_cast<Index>(c));
    }
    for (std::size_t f = 0; f < far.size(); ++f) {
      const auto own = number[static_cast<std::size_t>(found.assignment[f])];
      if (own >= 0) assignment[static_cast<std::size_t>(far[f])] = own;
    }
    append_empty(found.representatives, heavy);
    drift.added = static_cast<Index>(heavy.size());
  }
  add_rows(x, labels, assignment);

  const std::vector<std::int64_t> number = retire(options.retire_below);
  drift.renumbered.assign(number.begin(), number.begin() + before);
  drift.retired = before + drift.added - representatives_.size();
  for (const auto j : assignment) drift.assignment.push_back(number[static_cast<std::size_t>(j)]);
  refresh();
  return drift;
}

void RunningMeans::append_empty(const Representatives& found, const std::vector<Index>& chosen) {
  const Index before = representatives_.size(), size = before + static_cast<Index>(chosen.size());
  Representatives& all = representatives_;
  all.vectors.conservativeResize(size, Eigen::NoChange);
  all.label_sums.conservativeResize(size, Eigen::NoChange);
  all.cases.conservativeResize(size, Eigen::NoChange);
  means_.conservativeResize(size, Eigen::NoChange);
  all.label_sums.bottomRows(size - before).setZero();
  all.cases.bottomRows(size - before).setConstant(-1);
  for (std::size_t c = 0; c < chosen.size(); ++c) {
    const Index j = before + static_cast<Index>(c);
    all.vectors.row(j) = found.vectors.row(chosen[c]);
    means_.row(j) = all.vectors.row(j).cast<double>();
    all.radius.push_back(found.radius[static_cast<std::size_t>(chosen[c])]);
  }
  all.mass.resize(all.radius.size(), 0.0);
  squares_.resize(all.radius.size(), 0.0);
}

std::vector<std::int64_t> RunningMeans::retire(double below) {
  Representatives& all = representatives_;
  const auto heaviest = std::max_element(all.mass.begin(), all.mass.end()) - all.mass.begin();
  std::vector<std::int64_t> number;
  Index kept = 0;
  for (Index j = 0; j < all.size(); ++j) {
    const auto from = static_cast<std::size_t>(j), to = static_cast<std::size_t>(kept);
    if (all.mass[from] < below && j != heaviest) {
      number.push_back(-1);
      continue;
    }
    number.push_back(kept);
    means_.row(kept) = means_.row(j).eval();
    all.label_sums.row(kept) = all.label_sums.row(j).eval();
    all.cases.row(kept) = all.cases.row(j).eval();
    all.mass[to] = all.mass[from];
    all.radius[to] = all.radius[from];
    squares_[to] = squares_[from];
    ++kept;
  }
  means_.conservativeResize(kept, Eigen::NoChange);
  all.label_sums.conservativeResize(kept, Eigen::NoChange);
  all.cases.conservativeResize(kept, Eigen::NoChange);
  all.mass.resize(static_cast<std::size_t>(kept));
  all.radius.resize(all.mass.size());
  squares_.resize(all.mass.size());
  all.vectors = means_.cast<float>();
  return number;
}

}  // namespace ecseq::compress
