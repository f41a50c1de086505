#include "../../src/compress/bounded_assignment.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "../../src/compress/centroid_panels.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/kernels/nearest.hpp"
#include "gaussian_matrix.hpp"

namespace ecseq::compress {
namespace {

using testing::gaussian;

using Labels = std::vector<std::int64_t>;

Matrix<float> blobs(Index n, Index d, Index centres, std::uint64_t seed) {
  const Matrix<float> centre = gaussian(centres, d, seed, 6.0);
  Matrix<float> x = gaussian(n, d, seed + 1, 0.5);
  Rng rng(seed + 2);
  for (Index i = 0; i < n; ++i) x.row(i) += centre.row(rng.below(centres));
  return x;
}

Matrix<float> drawn_rows(const Matrix<float>& x, Index k, std::uint64_t seed) {
  Rng rng(seed);
  Matrix<float> rows(k, x.cols());
  for (Index j = 0; j < k; ++j) rows.row(j) = x.row(rng.below(x.rows()));
  return rows;
}

/// Lloyd's step; a centroid without rows jumps onto a row, as FAISS splits clusters.
void step(const Matrix<float>& x, const Labels& labels, Matrix<float>& centroids) {
  Matrix<double> sums = Matrix<double>::Zero(centroids.rows(), x.cols());
  std::vector<double> count(static_cast<std::size_t>(centroids.rows()), 0.0);
  for (Index i = 0; i < x.rows(); ++i) {
    const Index label = labels[static_cast<std::size_t>(i)];
    sums.row(label) += x.row(i).cast<double>();
    count[static_cast<std::size_t>(label)] += 1.0;
  }
  for (Index j = 0; j < centroids.rows(); ++j) {
    const double members = count[static_cast<std::size_t>(j)];
    if (members > 0.0) {
      centroids.row(j) = (sums.row(j) / members).cast<float>();
    } else {
      centroids.row(j) = x.row(j * 7 % x.rows());
    }
  }
}

/// Bounds and brute force through `steps` of Lloyd's, from the same centroids each.
/// Returns the share of products in the last step.
double expect_equal_labels(const Matrix<float>& x, Matrix<float> centroids, int steps,
                           bool eight_bit) {
  const auto n = static_cast<std::size_t>(x.rows());
  BoundedAssignment bounded(2, eight_bit);
  Labels labels(n), expected(n);
  std::vector<float> distances(n), expected_distances(n);
  for (int s = 0; s < steps; ++s) {
    bounded.assign(centroids, x, labels.data(), distances.data());
    kernels::assign_nearest(kernels::pack_points(centroids), x.data(), x.rows(), expected.data(),
                            expected_distances.data());
    EXPECT_EQ(labels, expected) << "in step " << s;
    for (Index i = 0; i < x.rows(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double exact =
          (x.row(i).cast<double>() - centroids.row(labels[at]).cast<double>()).squaredNorm();
      EXPECT_NEAR(distances[at], exact, 1e-5 * exact) << "in step " << s;
    }
    step(x, labels, centroids);
  }
  return bounded.computed_share();
}

/// With 8-bit products, where the processor has them, and without.
std::vector<bool> ways() {
  return has_eight_bit_products() ? std::vector<bool>{false, true} : std::vector<bool>{false};
}

void expect_equal_labels(const Matrix<float>& x, const Matrix<float>& centroids, int steps) {
  for (const bool eight_bit : ways()) {
    SCOPED_TRACE(eight_bit ? "with 8-bit products" : "without 8-bit products");
    expect_equal_labels(x, centroids, steps, eight_bit);
  }
}

// Sizes that are no multiple of any vector, tile or chunk on purpose.
class BoundedAssignmentSizes : public ::testing::TestWithParam<std::tuple<Index, Index>> {};

TEST_P(BoundedAssignmentSizes, FindsWhatBruteForceFinds) {
  const auto [d, k] = GetParam();
  for (const Index n : {Index{61}, Index{3001}}) {
    const Matrix<float> structureless = gaussian(n, d, 1), clustered = blobs(n, d, 20, 2);
    expect_equal_labels(structureless, drawn_rows(structureless, k, 3), 8);
    expect_equal_labels(clustered, drawn_rows(clustered, k, 4), 8);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, BoundedAssignmentSizes,
                         ::testing::Combine(::testing::Values<Index>(1, 3, 32, 100),
                                            ::testing::Values<Index>(1, 3, 16, 77, 200)));

TEST(BoundedAssignment, GivesTiesToTheLowestNumber) {
  // Few values: rows tie with each other, and centroids are equal.
  Rng rng(5);
  Matrix<float> x(3000, 3);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.below(4));
  Matrix<float> centroids = drawn_rows(x, 120, 6);
  for (Index j = 60; j < 120; ++j) centroids.row(j) = centroids.row(119 - j);
  expect_equal_labels(x, centroids, 6);
}

TEST(BoundedAssignment, AllowsForTheRoundingOfScores) {
  // Where scores have lost the digits that tell neighbours apart, brute force is wrong, and the
  // bounds must not know better.
  const Matrix<float> x = gaussian(3000, 8, 7).array() + 300.0F;
  expect_equal_labels(x, drawn_rows(x, 100, 8), 8);
  const Matrix<float> tiny = gaussian(3000, 8, 7, 1e-18);
  expect_equal_labels(tiny, drawn_rows(tiny, 100, 8), 4);
}

TEST(BoundedAssignment, CopesWithRowsAndCentroidsOfVeryDifferentSizes) {
  // A few rows and columns take all the steps that 8 bits have.
  Matrix<float> x = gaussian(5000, 19, 23);
  for (Index i = 0; i < 5000; i += 7) x.row(i) *= 1e4F;
  x.col(3) *= 1e3F;
  x.row(11).setZero();
  Matrix<float> centroids = drawn_rows(x, 130, 24);
  centroids.row(5).setZero();
  centroids.row(6) *= 1e6F;
  expect_equal_labels(x, centroids, 6);
}

TEST(BoundedAssignment, GivesTheSameDistancesWithAndWithoutEightBits) {
  if (!has_eight_bit_products()) GTEST_SKIP() << "no AVX-512 VNNI here";
  const Matrix<float> x = gaussian(4000, 24, 25);
  Matrix<float> centroids = drawn_rows(x, 150, 26);
  BoundedAssignment with(1, true), without(1, false);
  Labels labels(4000), other_labels(4000);
  std::vector<float> distances(4000), other_distances(4000);
  for (int s = 0; s < 6; ++s) {
    with.assign(centroids, x, labels.data(), distances.data());
    without.assign(centroids, x, other_labels.data(), other_distances.data());
    EXPECT_EQ(labels, other_labels);
    EXPECT_EQ(distances, other_distances);
    if (s > 0) {
      EXPECT_LT(with.computed_share(), without.computed_share());
    }
    step(x, labels, centroids);
  }
}

TEST(BoundedAssignment, FollowsCentroidsThatJump) {
  const Matrix<float> x = blobs(3000, 16, 30, 9);
  Matrix<float> centroids = drawn_rows(x, 90, 10);
  BoundedAssignment bounded(1);
  Labels labels(3000), expected(3000);
  std::vector<float> distances(3000);
  Rng rng(11);
  for (int s = 0; s < 12; ++s) {
    bounded.assign(centroids, x, labels.data(), distances.data());
    kernels::assign_nearest(kernels::pack_points(centroids), x.data(), 3000, expected.data(),
                            distances.data());
    EXPECT_EQ(labels, expected);
    for (int jump = 0; jump < 3; ++jump) {
      centroids.row(rng.below(90)) = x.row(rng.below(3000));
    }
  }
}

TEST(BoundedAssignment, StartsAnewForOtherRowsOrAnotherNumberOfCentroids) {
  const Matrix<float> x = blobs(2500, 8, 30, 12), y = blobs(2500, 8, 30, 13);
  BoundedAssignment bounded(1);
  Labels labels(2500), expected(2500);
  std::vector<float> distances(2500);
  for (const Matrix<float>* rows : {&x, &x, &y, &y, &x}) {
    for (const Index k : {80, 80, 40}) {
      const Matrix<float> centroids = drawn_rows(*rows, k, 14);
      bounded.assign(centroids, *rows, labels.data(), distances.data());
      kernels::assign_nearest(kernels::pack_points(centroids), rows->data(), 2500, expected.data(),
                              distances.data());
      EXPECT_EQ(labels, expected);
    }
  }
}

TEST(BoundedAssignment, IsBitIdenticalForEveryThreadCount) {
  const Matrix<float> x = gaussian(9000, 12, 15);
  Matrix<float> centroids = drawn_rows(x, 150, 16);
  BoundedAssignment one(1), three(3);
  Labels labels(9000), other_labels(9000);
  std::vector<float> distances(9000), other_distances(9000);
  for (int s = 0; s < 6; ++s) {
    one.assign(centroids, x, labels.data(), distances.data());
    three.assign(centroids, x, other_labels.data(), other_distances.data());
    EXPECT_EQ(labels, other_labels);
    EXPECT_EQ(distances, other_distances);
    EXPECT_EQ(one.computed_share(), three.computed_share());
    step(x, labels, centroids);
  }
}

TEST(BoundedAssignment, ComputesFewProductsOnceTheCentroidsSettle) {
  const Matrix<float> clustered = blobs(5000, 16, 60, 17), structureless = gaussian(5000, 16, 18);
  for (const bool eight_bit : ways()) {
    EXPECT_LT(expect_equal_labels(clustered, drawn_rows(clustered, 120, 19), 11, eight_bit), 0.5);
    EXPECT_LT(expect_equal_labels(structureless, drawn_rows(structureless, 120, 20), 11, eight_bit),
              0.9);
  }
}

TEST(CentroidPanels, AreAPermutationWithNumbersInOrderWithin) {
  for (const Index k : {1, 8, 77}) {
    const Matrix<float> centroids = gaussian(k, 4, 21);
    std::vector<Index> order = order_in_panels(centroids, 8);
    for (std::size_t first = 0; first < order.size(); first += 8) {
      const std::size_t end = std::min(first + 8, order.size());
      EXPECT_TRUE(std::is_sorted(order.begin() + static_cast<std::ptrdiff_t>(first),
                                 order.begin() + static_cast<std::ptrdiff_t>(end)));
    }
    std::sort(order.begin(), order.end());
    std::vector<Index> numbers(static_cast<std::size_t>(k));
    std::iota(numbers.begin(), numbers.end(), Index{0});
    EXPECT_EQ(order, numbers);
  }
}

TEST(CentroidPanels, KeepNeighboursTogether) {
  // Two groups far apart, in turns: no panel holds centroids of both.
  Matrix<float> centroids = gaussian(32, 3, 22);
  for (Index j = 0; j < 32; ++j) centroids(j, 1) += j % 2 == 0 ? 100.0F : -100.0F;
  const std::vector<Index> order = order_in_panels(centroids, 8);
  for (std::size_t place = 0; place < order.size(); ++place) {
    EXPECT_EQ(order[place] % 2, order[place / 8 * 8] % 2);
  }
}

}  // namespace
}  // namespace ecseq::compress
