#include "ecseq/kernels/nearest.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <utility>

#include "ecseq/core/rng.hpp"
#include "gaussian_matrix.hpp"

namespace ecseq::kernels {
namespace {

using testing::gaussian;

// Sizes that are no multiple of any vector or tile on purpose.
class NearestSizes : public ::testing::TestWithParam<std::tuple<Index, Index, Index>> {};

TEST_P(NearestSizes, DenseEqualsTheScalarProduct) {
  const auto [rows, in, out] = GetParam();
  const Matrix<float> x = gaussian(rows, in, 1), weight = gaussian(in, out, 2);
  const Matrix<float> bias = gaussian(1, out, 3);
  const PackedDense packed(weight, bias.data());
  std::vector<float> y(static_cast<std::size_t>(rows * packed.padded()));
  multiply(packed, x.data(), in, rows, y.data());
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < out; ++j) {
      double expected = bias(0, j);
      for (Index k = 0; k < in; ++k) expected += double(x(i, k)) * weight(k, j);
      EXPECT_NEAR(y[static_cast<std::size_t>(i * packed.padded() + j)], expected, 1e-4);
    }
  }
}

TEST_P(NearestSizes, FindsWhatBruteForceFinds) {
  const auto [rows, d, n] = GetParam();
  const Matrix<float> x = gaussian(rows, d, 4), points = gaussian(n, d, 5);
  const PackedDense packed = pack_points(points);
  const Index k = std::min<Index>(n, 8);
  std::vector<std::int64_t> index(static_cast<std::size_t>(rows * k)),
      label(static_cast<std::size_t>(rows));
  std::vector<float> distance(index.size()), nearest_distance(label.size()), scratch;
  nearest(packed, x.data(), rows, k, index.data(), distance.data(), scratch);
  assign_nearest(packed, x.data(), rows, label.data(), nearest_distance.data());
  for (Index i = 0; i < rows; ++i) {
    std::vector<double> exact(static_cast<std::size_t>(n));
    for (Index j = 0; j < n; ++j) {
      exact[static_cast<std::size_t>(j)] =
          (x.row(i).cast<double>() - points.row(j).cast<double>()).squaredNorm();
    }
    std::vector<double> sorted = exact;
    std::sort(sorted.begin(), sorted.end());
    for (Index j = 0; j < k; ++j) {
      const auto at = static_cast<std::size_t>(i * k + j);
      EXPECT_NEAR(distance[at], sorted[static_cast<std::size_t>(j)], 1e-3);
      EXPECT_NEAR(exact[static_cast<std::size_t>(index[at])], distance[at], 1e-3);
    }
    EXPECT_EQ(label[static_cast<std::size_t>(i)], index[static_cast<std::size_t>(i * k)]);
    EXPECT_NEAR(nearest_distance[static_cast<std::size_t>(i)], sorted[0], 1e-3);
  }
}

TEST_P(NearestSizes, ARowHasTheSameBitsAloneAndInABatch) {
  const auto [rows, in, out] = GetParam();
  const Matrix<float> x = gaussian(rows, in, 6), weight = gaussian(in, out, 7);
  const PackedDense packed(weight, nullptr);
  std::vector<float> batch(static_cast<std::size_t>(rows * packed.padded())),
      alone(static_cast<std::size_t>(packed.padded()));
  multiply(packed, x.data(), in, rows, batch.data());
  for (Index i = 0; i < rows; ++i) {
    multiply(packed, x.row(i).data(), in, 1, alone.data());
    for (Index j = 0; j < out; ++j) {
      EXPECT_EQ(alone[static_cast<std::size_t>(j)],
                batch[static_cast<std::size_t>(i * packed.padded() + j)]);
    }
  }
}

TEST_P(NearestSizes, VisitsTheScoresAboveEachRowsThresholdInOrder) {
  const auto [rows, d, n] = GetParam();
  const Matrix<float> x = gaussian(rows, d, 8), points = gaussian(n, d, 9);
  const PackedDense packed = pack_points(points);
  std::vector<float> scores(static_cast<std::size_t>(rows * packed.padded()));
  multiply(packed, x.data(), d, rows, scores.data());
  std::vector<float> threshold;
  for (Index i = 0; i < rows; ++i) threshold.push_back(i % 2 == 0 ? kNoScore : -0.4F);
  std::vector<std::vector<std::pair<Index, float>>> visited(threshold.size()), expected(visited);
  visit_scores(packed, 0, packed.panels(), x.data(), rows, threshold.data(),
               [&](Index row, Index point, float score) {
                 visited[static_cast<std::size_t>(row)].emplace_back(point, score);
               });
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < n; ++j) {
      const float score = scores[static_cast<std::size_t>(i * packed.padded() + j)];
      if (score > threshold[static_cast<std::size_t>(i)]) {
        expected[static_cast<std::size_t>(i)].emplace_back(j, score);
      }
    }
  }
  EXPECT_EQ(visited, expected);
}

INSTANTIATE_TEST_SUITE_P(Sizes, NearestSizes,
                         ::testing::Values(std::tuple<Index, Index, Index>{1, 1, 1},
                                           std::tuple<Index, Index, Index>{13, 7, 5},
                                           std::tuple<Index, Index, Index>{6, 33, 64},
                                           std::tuple<Index, Index, Index>{31, 32, 500},
                                           std::tuple<Index, Index, Index>{17, 3, 129}));

TEST(Nearest, TiesGoToTheLowestNumber) {
  Matrix<float> points = Matrix<float>::Zero(100, 3);
  points.row(40).setConstant(1.0f);
  points.row(77).setConstant(1.0f);
  const PackedDense packed = pack_points(points);
  const Matrix<float> x = Matrix<float>::Constant(1, 3, 1.0f);
  std::int64_t label = -1, top[3];
  float distance, distances[3];
  std::vector<float> scratch;
  assign_nearest(packed, x.data(), 1, &label, &distance);
  nearest(packed, x.data(), 1, 3, top, distances, scratch);
  EXPECT_EQ(label, 40);
  EXPECT_EQ(top[0], 40);
  EXPECT_EQ(top[1], 77);
  EXPECT_EQ(top[2], 0);
}

/// Of scores that come in any order, in rising order, with many alike, and with runs of extremes.
TEST(Nearest, SelectionEqualsASortWithEveryKAndShape) {
  Rng rng(9);
  for (const Index n : {1, 5, 16, 17, 64, 100, 500, 512, 1000}) {
    const Index padded = round_up<float>(n);
    for (int kind = 0; kind < 5; ++kind) {
      std::vector<float> scores(static_cast<std::size_t>(padded), kNoScore);
      for (Index i = 0; i < n; ++i) {
        float& score = scores[static_cast<std::size_t>(i)];
        if (kind == 0) score = static_cast<float>(rng.normal());
        if (kind == 1) score = static_cast<float>(i);
        if (kind == 2) score = static_cast<float>(-i);
        if (kind == 3) score = static_cast<float>(rng.below(3));
        if (kind == 4) score = i % 7 == 0 ? 1e30F : -1e30F;
      }
      std::vector<std::int64_t> order(static_cast<std::size_t>(n));
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
        return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
      });
      for (const Index k : {1, 2, 7, 8, 9, 16, 17, 40}) {
        if (k > n) continue;
        std::vector<float> top(static_cast<std::size_t>(k));
        std::vector<std::int64_t> index(static_cast<std::size_t>(k));
        select_top(scores.data(), padded, k, top.data(), index.data());
        for (std::size_t j = 0; j < top.size(); ++j) {
          ASSERT_EQ(index[j], order[j]) << "n " << n << ", kind " << kind << ", k " << k;
          ASSERT_EQ(top[j], scores[static_cast<std::size_t>(order[j])]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace ecseq::kernels
