#include "ecseq/kernels/coarse_points.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gaussian_matrix.hpp"

namespace ecseq::kernels {
namespace {

using testing::gaussian;

/// The result is that of all numbers in full, to the bit.
void expect_exact(const Matrix<float>& points, const Matrix<float>& x, Index k) {
  const PackedDense packed = pack_points(points);
  const CoarsePoints coarse(points, packed);
  std::vector<float> scores(static_cast<std::size_t>(packed.padded())), top(scores), found(top);
  std::vector<std::int64_t> index(top.size()), found_index(top.size());
  for (Index i = 0; i < x.rows(); ++i) {
    const float* const row = x.row(i).data();
    multiply(packed, row, x.cols(), 1, scores.data());
    select_top(scores.data(), packed.padded(), k, top.data(), index.data());
    select_nearest(points, packed, coarse, row, std::sqrt(squared_norm(row, x.cols())), k,
                   scores.data(), found.data(), found_index.data());
    for (std::size_t j = 0; j < static_cast<std::size_t>(k); ++j) {
      ASSERT_EQ(found[j], top[j]) << "row " << i << ", place " << j;
      ASSERT_EQ(found_index[j], index[j]) << "row " << i << ", place " << j;
    }
  }
}

TEST(CoarsePoints, FindWhatAllBitsFind) {
  for (const Index n : {1, 7, 64, 500, 1203}) {
    for (const Index d : {1, 2, 15, 32, 33}) {
      const Matrix<float> points = gaussian(n, d, 1), x = gaussian(50, d, 2);
      for (const Index k : {Index{1}, Index{8}, Index{16}, Index{40}}) {
        SCOPED_TRACE(std::to_string(n) + " x " + std::to_string(d) + ", " + std::to_string(k));
        if (k <= n) expect_exact(points, x, k);
      }
    }
  }
}

TEST(CoarsePoints, TellApartWhatTheirSixteenBitsDoNot) {
  // Points that differ in the last bits only, some alike: all of them must be looked at again.
  for (const double width : {0.0, 1e-6, 1e-4, 1e-2}) {
    Matrix<float> points = gaussian(600, 32, 3, width);
    points.rowwise() += gaussian(1, 32, 4, 3.0).row(0);
    expect_exact(points, gaussian(40, 32, 5), 8);
    // The same among others.
    Matrix<float> mixed = gaussian(600, 32, 6);
    mixed.topRows(30) = points.topRows(30);
    expect_exact(mixed, points.topRows(40) + gaussian(40, 32, 7, 0.1), 8);
  }
}

TEST(CoarsePoints, AreAsFarFromTheScoreAsTheySay) {
  for (const double scale : {1e-18, 1e-3, 1.0, 1e4, 1e12}) {
    const Matrix<float> points = gaussian(500, 31, 8, scale), x = gaussian(50, 31, 9);
    const PackedDense packed = pack_points(points);
    const CoarsePoints coarse(points, packed);
    std::vector<float> scores(static_cast<std::size_t>(packed.padded())), rough(scores);
    for (Index i = 0; i < x.rows(); ++i) {
      const float* const row = x.row(i).data();
      multiply(packed, row, 31, 1, scores.data());
      coarse_scores(coarse, packed, row, rough.data());
      const float error = coarse.error(std::sqrt(squared_norm(row, 31)));
      for (std::size_t j = 0; j < 500; ++j) ASSERT_LE(std::abs(rough[j] - scores[j]), error);
    }
  }
}

TEST(CoarsePoints, StandBackWhereNumbersAreTooLarge) {
  Matrix<float> points = gaussian(500, 32, 10);
  points(3, 5) = std::numeric_limits<float>::max();
  EXPECT_TRUE(CoarsePoints(points, pack_points(points)).empty());
  expect_exact(points, gaussian(20, 32, 11, 1e-3), 8);
  // The row is so large that no score can be told from another.
  for (const double scale : {1e15, 1e18, 1e25, 1e36}) {
    expect_exact(gaussian(500, 32, 12), gaussian(20, 32, 13, scale), 8);
    // So few that padding and all would be candidates.
    expect_exact(gaussian(40, 512, 14), gaussian(20, 512, 15, scale), 8);
  }
}

TEST(CoarsePoints, AreMadeOnlyWhereTheyPay) {
  const Matrix<float> few = gaussian(64, 32, 16), many = gaussian(500, 32, 17);
  EXPECT_TRUE(coarse_points_if_many(few, pack_points(few)).empty());
  EXPECT_FALSE(coarse_points_if_many(many, pack_points(many)).empty());
}

}  // namespace
}  // namespace ecseq::kernels
