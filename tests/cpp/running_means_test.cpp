#include "ecseq/compress/running_means.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "ecseq/compress/baselines.hpp"
#include "ecseq/compress/kmeans.hpp"
#include "expect_refused.hpp"
#include "gaussian_matrix.hpp"

namespace ecseq::compress {
namespace {

using ecseq::testing::expect_refused;
using ecseq::testing::gaussian;

/// K single rows, each its own mean.
Representatives single_rows(const Matrix<float>& x, const Matrix<float>& labels) {
  BaselineOptions options;
  options.n_representatives = x.rows();
  return random_rows(x, labels, options).representatives;
}

TEST(RunningMeans, AreTheMeansOfAllMembers) {
  const Matrix<float> first = gaussian(7, 3, 1), first_labels = gaussian(7, 2, 2);
  RunningMeans running(single_rows(first, first_labels));
  // Members by representative; each starts as one row.
  std::vector<std::vector<RowVector<double>>> members(7), labels(7);
  for (Index j = 0; j < 7; ++j) {
    const Index row = running.representatives().medoid(j);
    members[static_cast<std::size_t>(j)].push_back(first.row(row).cast<double>());
    labels[static_cast<std::size_t>(j)].push_back(first_labels.row(row).cast<double>());
  }
  for (std::uint64_t batch = 0; batch < 4; ++batch) {
    const Matrix<float> before = running.representatives().vectors;
    const Matrix<float> x = gaussian(50, 3, 10 + batch), y = gaussian(50, 2, 20 + batch);
    const auto assignment = running.partial_fit(x, y);
    for (Index i = 0; i < 50; ++i) {
      const auto j = static_cast<std::size_t>(assignment[static_cast<std::size_t>(i)]);
      const Eigen::VectorXf distance = (before.rowwise() - x.row(i)).rowwise().squaredNorm();
      EXPECT_NEAR(distance[static_cast<Index>(j)], distance.minCoeff(), 1e-5);
      members[j].push_back(x.row(i).cast<double>());
      labels[j].push_back(y.row(i).cast<double>());
    }
    const Representatives& found = running.representatives();
    for (Index j = 0; j < 7; ++j) {
      const auto at = static_cast<std::size_t>(j);
      RowVector<double> mean = RowVector<double>::Zero(3), sum = RowVector<double>::Zero(2);
      for (const auto& row : members[at]) mean += row;
      for (const auto& row : labels[at]) sum += row;
      mean /= static_cast<double>(members[at].size());
      double spread = 0.0;
      for (const auto& row : members[at]) spread += (row - mean).squaredNorm();
      spread /= static_cast<double>(members[at].size());
      EXPECT_EQ(found.mass[at], static_cast<double>(members[at].size()));
      EXPECT_LT((found.vectors.row(j).cast<double>() - mean).norm(), 1e-6);
      EXPECT_NEAR(found.spread[at], spread, 1e-9);
      EXPECT_LT((found.label_sums.row(j) - sum).norm(), 1e-9);
    }
  }
}

TEST(RunningMeans, FollowManyRowsThatAreFarFromTheOrigin) {
  // A float mean would stop moving: 1000 + 1 / n is lost once n passes 16384.
  const Matrix<float> origin = Matrix<float>::Constant(1, 1, 1000.0F);
  RunningMeans running(single_rows(origin, Matrix<float>::Zero(1, 1)));
  const Matrix<float> x = Matrix<float>::Constant(50'000, 1, 1000.5F);
  for (int batch = 0; batch < 4; ++batch)
    running.partial_fit(x, Matrix<float>::Zero(50'000, 1).eval());
  EXPECT_NEAR(running.representatives().vectors(0, 0), 1000.5, 1e-4);
  EXPECT_EQ(running.representatives().mass[0], 200'001.0);
}

TEST(RunningMeans, AreTheSameForEveryThreadCount) {
  const Matrix<float> first = gaussian(20, 6, 3), x = gaussian(5000, 6, 4);
  const Matrix<float> labels = Matrix<float>::Ones(5000, 1);
  RunningMeans one(single_rows(first, Matrix<float>::Ones(20, 1))), two = one;
  EXPECT_EQ(one.partial_fit(x, labels, 1), two.partial_fit(x, labels, 2));
  EXPECT_EQ(one.representatives().vectors, two.representatives().vectors);
  EXPECT_EQ(
      std::accumulate(one.representatives().mass.begin(), one.representatives().mass.end(), 0.0),
      5020.0);
}

TEST(RunningMeans, StayAsTheyAreWhereABatchIsRefused) {
  const Matrix<float> first = gaussian(5, 2, 5);
  RunningMeans running(single_rows(first, Matrix<float>::Ones(5, 1)));
  const Matrix<float> before = running.representatives().vectors;
  Matrix<float> x = gaussian(3, 2, 6);
  const Matrix<float> labels = Matrix<float>::Ones(3, 1);
  expect_refused([&] { running.partial_fit(gaussian(3, 4, 7), labels); },
                 "X: expected [3, 2], got [3, 4]");
  expect_refused([&] { running.partial_fit(x, Matrix<float>(Matrix<float>::Ones(2, 1))); },
                 "labels: expected [3, 1], got [2, 1]");
  x(2, 1) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(running.partial_fit(x, labels), InvalidArgument);
  EXPECT_EQ(running.representatives().vectors, before);
}

/// Two tight groups, around 0 and around 100, of 40 rows each.
Representatives two_groups() {
  Matrix<float> x(80, 1), labels(80, 1);
  for (Index i = 0; i < 80; ++i) {
    x(i, 0) = (i < 40 ? 0.0F : 100.0F) + static_cast<float>(i % 5);
    labels(i, 0) = i < 40 ? 0.0F : 1.0F;
  }
  KMeansOptions options;
  options.n_representatives = 2;
  options.init = "kmeans++";
  return kmeans(x, labels, options).representatives;
}

TEST(RunningMeansUpdate, ReportsDriftByItsDefinition) {
  RunningMeans running(two_groups());
  const Index low = running.representatives().vectors(0, 0) < 50 ? 0 : 1;
  EXPECT_NEAR(running.representatives().radius[static_cast<std::size_t>(low)], 2.0, 1e-6);
  // Three near 0 with label 1 where 0 is known, one of them beyond the radius; one near 100.
  Matrix<float> x(4, 1), labels(4, 1);
  x << 1, 2, 5, 101;
  labels << 1, 1, 1, 1;
  const Drift drift = running.update(x, labels);
  EXPECT_EQ(drift.rows, 4);
  EXPECT_DOUBLE_EQ(drift.beyond_radius, 0.25);
  EXPECT_DOUBLE_EQ(drift.mass_shift, 0.25);
  EXPECT_DOUBLE_EQ(drift.label_shift, 0.75);
  EXPECT_EQ(drift.added, 0);
  EXPECT_EQ(drift.retired, 0);
  EXPECT_EQ(drift.assignment, (std::vector<std::int64_t>{low, low, low, 1 - low}));
  EXPECT_NEAR(running.means()(low, 0), (40 * 2.0 + 8) / 43, 1e-6);
}

TEST(RunningMeansUpdate, RowsFarFromAllBecomeRepresentativesWhereThereAreEnough) {
  for (const Index n : {9, 10}) {
    RunningMeans running(two_groups());
    Matrix<float> x(n, 1);
    for (Index i = 0; i < n; ++i) x(i, 0) = 500.0F + static_cast<float>(i);
    const Drift drift = running.update(x, Matrix<float>(Matrix<float>::Ones(n, 1)));
    const Representatives& r = running.representatives();
    EXPECT_EQ(drift.added, n == 10 ? 1 : 0);
    EXPECT_EQ(r.size(), 2 + drift.added);
    EXPECT_EQ(std::accumulate(r.mass.begin(), r.mass.end(), 0.0), 80.0 + static_cast<double>(n));
    if (n == 10) {
      EXPECT_FLOAT_EQ(r.vectors(2, 0), 504.5F);
      EXPECT_NEAR(r.spread[2], 8.25, 1e-9);
      EXPECT_EQ(r.label_sums(2, 0), 10.0);
      EXPECT_EQ(r.medoid(2), -1);
      EXPECT_NEAR(r.radius[2], 4.5, 1e-4);
    }
  }
}

TEST(RunningMeansUpdate, WhatIsForgottenIsRetiredButForTheHeaviest) {
  RunningMeans running(two_groups());
  const Matrix<float> nothing(0, 1);
  UpdateOptions options;
  options.keep = 0.5;
  Drift drift;
  for (int i = 0; i < 6; ++i) {
    drift = running.update(nothing, nothing, options);
    EXPECT_EQ(running.representatives().mass, std::vector<double>(2, 40.0 / (2 << i)));
    EXPECT_EQ(drift.retired, 0);
  }
  drift = running.update(nothing, nothing, options);
  EXPECT_EQ(drift.retired, 1);  // both are at 0.3125 now
  EXPECT_EQ(drift.renumbered, (std::vector<std::int64_t>{0, -1}));
  EXPECT_EQ(running.representatives().size(), 1);
}

TEST(RunningMeansUpdate, IsTheSameForEveryThreadCount) {
  const Matrix<float> first = gaussian(20, 6, 3), x = gaussian(5000, 6, 4, 1.0, 1.0);
  const Matrix<float> labels = Matrix<float>::Ones(5000, 1);
  RunningMeans one(single_rows(first, Matrix<float>::Ones(20, 1))), two = one;
  UpdateOptions options;
  options.reach = 0.5;
  options.num_threads = 1;
  const Drift a = one.update(x, labels, options);
  options.num_threads = 2;
  const Drift b = two.update(x, labels, options);
  EXPECT_GT(a.added, 0);
  EXPECT_EQ(a.assignment, b.assignment);
  EXPECT_EQ(one.means(), two.means());
}

TEST(RunningMeansUpdate, RefusesOptionsOutOfRange) {
  RunningMeans running(two_groups());
  const Matrix<float> x = Matrix<float>::Ones(1, 1);
  const auto refused = [&](auto change, const char* message) {
    UpdateOptions options;
    change(options);
    expect_refused([&] { running.update(x, x, options); }, message);
  };
  refused([](UpdateOptions& o) { o.keep = 0.0; }, "keep: expected a share in (0, 1], got 0.000000");
  refused([](UpdateOptions& o) { o.keep = 1.5; }, "keep: expected a share in (0, 1], got 1.500000");
  refused([](UpdateOptions& o) { o.reach = 0.0; },
          "reach: expected a number above 0, got 0.000000");
  refused([](UpdateOptions& o) { o.min_mass = 0; }, "min_mass: expected at least 1, got 0");
  refused([](UpdateOptions& o) { o.retire_below = 1.5; },
          "retire_below: expected a mass in [0, 1], got 1.500000");
}

}  // namespace
}  // namespace ecseq::compress
