#include "ecseq/compress/baselines.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "ecseq/core/rng.hpp"
#include "expect_refused.hpp"
#include "gaussian_matrix.hpp"

namespace ecseq::compress {
namespace {

using ecseq::testing::expect_refused;
using ecseq::testing::gaussian;

BaselineOptions with_k(Index k, int threads = 2) {
  BaselineOptions options;
  options.n_representatives = k;
  options.num_threads = threads;
  return options;
}

double distance(const Matrix<float>& x, Index i, const Matrix<float>& vectors, Index j) {
  return (x.row(i).cast<double>() - vectors.row(j).cast<double>()).norm();
}

/// Real and different rows, each for itself, and every row with the nearest.
void expect_rows_with_their_nearest(const Matrix<float>& x, const Compression& result) {
  const Representatives& found = result.representatives;
  EXPECT_EQ(std::accumulate(found.mass.begin(), found.mass.end(), 0.0),
            static_cast<double>(x.rows()));
  std::set<std::vector<float>> values;
  for (Index j = 0; j < found.size(); ++j) {
    const Index row = found.medoid(j);
    EXPECT_EQ(x.row(row), found.vectors.row(j));
    EXPECT_EQ(result.assignment[static_cast<std::size_t>(row)], j);
    EXPECT_TRUE(values.emplace(found.vectors.row(j).begin(), found.vectors.row(j).end()).second);
  }
  double objective = 0.0;
  for (Index i = 0; i < x.rows(); ++i) {
    double nearest = std::numeric_limits<double>::infinity();
    for (Index j = 0; j < found.size(); ++j) {
      nearest = std::min(nearest, distance(x, i, found.vectors, j));
    }
    const double own =
        distance(x, i, found.vectors, result.assignment[static_cast<std::size_t>(i)]);
    EXPECT_NEAR(own, nearest, 1e-4);
    objective += own * own;
  }
  EXPECT_NEAR(result.report.objective, objective, 1e-9 * (1.0 + objective));
}

TEST(Baselines, AreRealRowsWithTheRowsNearestThem) {
  for (const double offset : {0.0, 300.0}) {
    const Matrix<float> x = gaussian(400, 6, 1, 1.0, offset);
    const Matrix<float> labels = Matrix<float>::Ones(400, 2);
    std::vector<int> group(400);
    for (Index i = 0; i < 400; ++i) group[static_cast<std::size_t>(i)] = static_cast<int>(i % 3);
    for (const Index k : {3, 20, 400}) {
      KMeansOptions kmeans_options;
      kmeans_options.n_representatives = k;
      for (const Compression& result :
           {random_rows(x, labels, with_k(k)), k_center(x, labels, with_k(k)),
            stratified_random_rows(x, labels, group, {}, with_k(k)),
            medoids(x, labels, kmeans_options)}) {
        EXPECT_EQ(result.representatives.size(), k);
        EXPECT_EQ(result.report.requested, k);
        EXPECT_EQ(result.representatives.label_sums.sum(), 800.0);
        expect_rows_with_their_nearest(x, result);
      }
    }
  }
}

TEST(Baselines, AreTheSameForEveryThreadCount) {
  const Matrix<float> x = gaussian(9000, 5, 2);
  const Matrix<float> labels = Matrix<float>::Zero(9000, 1);
  const auto expect_same = [](const Compression& one, const Compression& two) {
    EXPECT_EQ(one.assignment, two.assignment);
    EXPECT_EQ(one.representatives.vectors, two.representatives.vectors);
  };
  expect_same(random_rows(x, labels, with_k(40, 1)), random_rows(x, labels, with_k(40, 2)));
  expect_same(k_center(x, labels, with_k(40, 1)), k_center(x, labels, with_k(40, 2)));
}

TEST(Baselines, ChooseOneOfEachValueAmongDuplicates) {
  Matrix<float> x(90, 2);
  for (Index i = 0; i < 90; ++i) x.row(i).setConstant(static_cast<float>(i % 9));
  const Matrix<float> labels = Matrix<float>::Zero(90, 1);
  KMeansOptions kmeans_options;
  kmeans_options.n_representatives = 9;
  const std::vector<int> group(90, 0);
  for (const Compression& result :
       {random_rows(x, labels, with_k(9)), k_center(x, labels, with_k(9)),
        stratified_random_rows(x, labels, group, {9}, with_k(9)),
        medoids(x, labels, kmeans_options)}) {
    ASSERT_EQ(result.representatives.size(), 9);
    for (const double mass : result.representatives.mass) EXPECT_EQ(mass, 10.0);
    EXPECT_EQ(result.report.objective, 0.0);
  }
  const std::string message = "n_representatives: 10 asked for, but X has only 9 distinct rows";
  expect_refused([&] { random_rows(x, labels, with_k(10)); }, message);
  expect_refused([&] { k_center(x, labels, with_k(10)); }, message);
}

TEST(RandomRows, DependOnTheSeedAlone) {
  const Matrix<float> x = gaussian(500, 3, 3);
  const Matrix<float> labels = Matrix<float>::Zero(500, 1);
  BaselineOptions options = with_k(20);
  const Compression first = random_rows(x, labels, options);
  EXPECT_EQ(first.assignment, random_rows(x, labels, options).assignment);
  options.seed = 1;
  EXPECT_NE(first.assignment, random_rows(x, labels, options).assignment);
}

TEST(StratifiedRandomRows, TakeFromEachGroupWhatIsAskedFor) {
  const Matrix<float> x = gaussian(300, 3, 4);
  const Matrix<float> labels = Matrix<float>::Zero(300, 1);
  std::vector<int> group(300, 0);
  for (std::size_t i = 0; i < 300; i += 10) group[i] = 1;
  const auto chosen_of = [&](const Compression& result) {
    std::vector<Index> counts(2, 0);
    for (Index j = 0; j < result.representatives.size(); ++j) {
      ++counts[static_cast<std::size_t>(
          group[static_cast<std::size_t>(result.representatives.medoid(j))])];
    }
    return counts;
  };
  const auto sample = [&](const std::vector<Index>& counts, Index k) {
    return stratified_random_rows(x, labels, group, counts, with_k(k));
  };
  EXPECT_EQ(chosen_of(sample({}, 20)), (std::vector<Index>{10, 10}));
  EXPECT_EQ(chosen_of(sample({}, 100)), (std::vector<Index>{70, 30}));
  EXPECT_EQ(chosen_of(sample({40, 5}, 1)), (std::vector<Index>{40, 5}));
  expect_refused(
      [&] {
        sample({40, 31}, 1);
      },
      "counts: group 1: 31 asked for, but it has only 30 distinct rows of its own");
  expect_refused([&] { sample({40}, 1); }, "counts: 1 numbers given for 2 groups");
  expect_refused([&] { sample({}, 1); },
                 "n_representatives: at least one is needed for each of 2 groups, got 1");
}

TEST(KCenter, IsFarthestFirstFromTheCentralRow) {
  const Matrix<float> x = gaussian(250, 4, 5);
  const Matrix<float> labels = Matrix<float>::Zero(250, 1);
  const Compression result = k_center(x, labels, with_k(12));
  const RowVector<double> mean = x.cast<double>().colwise().mean();
  std::vector<Index> expected(1);
  (x.cast<double>().rowwise() - mean).rowwise().norm().minCoeff(&expected[0]);
  while (expected.size() < 12) {
    Index farthest = 0;
    double most = -1.0;
    for (Index i = 0; i < 250; ++i) {
      double nearest = std::numeric_limits<double>::infinity();
      for (const Index j : expected) nearest = std::min(nearest, distance(x, i, x, j));
      if (nearest > most) {
        most = nearest;
        farthest = i;
      }
    }
    expected.push_back(farthest);
  }
  for (Index j = 0; j < 12; ++j) {
    EXPECT_EQ(result.representatives.medoid(j), expected[static_cast<std::size_t>(j)]);
  }
}

TEST(KCenter, OfPermutedRowsChoosesTheSameRows) {
  const Matrix<float> x = gaussian(200, 3, 6);
  const Matrix<float> labels = Matrix<float>::Zero(200, 1);
  const Matrix<float> permuted = take_rows<float>(x, Rng(7).permutation(200));
  EXPECT_EQ(k_center(x, labels, with_k(15)).representatives.vectors,
            k_center(permuted, labels, with_k(15)).representatives.vectors);
}

TEST(Baselines, RefuseAndStop) {
  Matrix<float> x = gaussian(30, 2, 8);
  const Matrix<float> labels = Matrix<float>::Zero(30, 1);
  const auto stop = [](const Progress&) { return false; };
  EXPECT_THROW(random_rows(x, labels, with_k(3), stop), Interrupted);
  EXPECT_THROW(k_center(x, labels, with_k(3), stop), Interrupted);
  KMeansOptions kmeans_options;
  kmeans_options.n_representatives = 3;
  EXPECT_THROW(medoids(x, labels, kmeans_options, stop), Interrupted);
  EXPECT_THROW(stratified_random_rows(x, labels, std::vector<int>(30, 0), {}, with_k(3), stop),
               Interrupted);
  EXPECT_THROW(stratified_random_rows(x, labels, std::vector<int>(29, 0), {}, with_k(3)),
               InvalidArgument);
  expect_refused([&] { k_center(x, labels, with_k(0)); },
                 "n_representatives: expected at least 1, got 0");
  x(4, 1) = std::numeric_limits<float>::infinity();
  EXPECT_THROW(random_rows(x, labels, with_k(3)), InvalidArgument);
}

}  // namespace
}  // namespace ecseq::compress
