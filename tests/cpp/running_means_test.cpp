#include "ecseq/compress/running_means.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "ecseq/compress/baselines.hpp"
#include "ecseq/core/rng.hpp"
#include "expect_refused.hpp"

namespace ecseq::compress {
namespace {

using ecseq::testing::expect_refused;

Matrix<float> random_matrix(Index n, Index d, std::uint64_t seed, double offset = 0.0) {
  Rng rng(seed);
  Matrix<float> x(n, d);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(offset + rng.normal());
  return x;
}

/// K single rows, each its own mean.
Representatives single_rows(const Matrix<float>& x, const Matrix<float>& labels) {
  BaselineOptions options;
  options.n_representatives = x.rows();
  return random_rows(x, labels, options).representatives;
}

TEST(RunningMeans, AreTheMeansOfAllMembers) {
  const Matrix<float> first = random_matrix(7, 3, 1), first_labels = random_matrix(7, 2, 2);
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
    const Matrix<float> x = random_matrix(50, 3, 10 + batch), y = random_matrix(50, 2, 20 + batch);
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
  const Matrix<float> first = random_matrix(20, 6, 3), x = random_matrix(5000, 6, 4);
  const Matrix<float> labels = Matrix<float>::Ones(5000, 1);
  RunningMeans one(single_rows(first, Matrix<float>::Ones(20, 1))), two = one;
  EXPECT_EQ(one.partial_fit(x, labels, 1), two.partial_fit(x, labels, 2));
  EXPECT_EQ(one.representatives().vectors, two.representatives().vectors);
  EXPECT_EQ(
      std::accumulate(one.representatives().mass.begin(), one.representatives().mass.end(), 0.0),
      5020.0);
}

TEST(RunningMeans, StayAsTheyAreWhereABatchIsRefused) {
  const Matrix<float> first = random_matrix(5, 2, 5);
  RunningMeans running(single_rows(first, Matrix<float>::Ones(5, 1)));
  const Matrix<float> before = running.representatives().vectors;
  Matrix<float> x = random_matrix(3, 2, 6);
  const Matrix<float> labels = Matrix<float>::Ones(3, 1);
  expect_refused([&] { running.partial_fit(random_matrix(3, 4, 7), labels); },
                 "X: expected [3, 2], got [3, 4]");
  expect_refused([&] { running.partial_fit(x, Matrix<float>(Matrix<float>::Ones(2, 1))); },
                 "labels: expected [3, 1], got [2, 1]");
  x(2, 1) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(running.partial_fit(x, labels), InvalidArgument);
  EXPECT_EQ(running.representatives().vectors, before);
}

}  // namespace
}  // namespace ecseq::compress
