#include "../../src/compress/eight_bit_scores.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "ecseq/core/rng.hpp"

namespace ecseq::compress {
namespace {

/// Numbers of sizes that differ by orders of magnitude, some zero.
Matrix<float> uneven(Index n, Index d, std::uint64_t seed) {
  Rng rng(seed);
  Matrix<float> x(n, d);
  for (Index i = 0; i < n; ++i) {
    const double size = std::exp(2.0 * rng.normal());
    for (Index k = 0; k < d; ++k) {
      x(i, k) = rng.below(10) == 0 ? 0.0F : static_cast<float>(size * rng.normal());
    }
  }
  return x;
}

// Columns that are no multiple of four or of a vector, rows and centroids of none of a block.
class EightBitScores : public ::testing::TestWithParam<std::tuple<Index, Index, Index>> {
 protected:
  void SetUp() override {
    if (!has_eight_bit_products()) GTEST_SKIP() << "no AVX-512 VNNI here";
  }
};

TEST_P(EightBitScores, AreNeverExceededAndClose) {
  const auto [n, k, d] = GetParam();
  const Matrix<float> x = uneven(n, d, 1), centroids = uneven(k, d, 2);
  const EightBitRows rows(x, 2);
  const EightBitPanels panels(centroids);
  const Index blocks = (n + EightBitRows::kBlock - 1) / EightBitRows::kBlock;
  std::vector<float> scores(static_cast<std::size_t>(blocks * EightBitRows::kBlock));
  std::vector<std::int32_t> without(scores.size()), all(static_cast<std::size_t>(blocks));
  std::iota(all.begin(), all.end(), 0);
  for (std::size_t i = 0; i < without.size(); ++i)
    without[i] = static_cast<std::int32_t>(i) % 40 - 4;
  const double largest = centroids.rowwise().norm().maxCoeff();
  for (Index p = 0; p * EightBitPanels::kPanel < k; ++p) {
    bound_scores(rows, 0, all.data(), blocks, panels[p], without.data(), scores.data());
    for (Index i = 0; i < n; ++i) {
      const double norm = x.row(i).norm();
      const Index first = p * EightBitPanels::kPanel;
      double highest = -std::numeric_limits<double>::infinity(), panel_largest = 0.0;
      for (Index j = first; j < std::min(first + EightBitPanels::kPanel, k); ++j) {
        const auto c = centroids.row(j).cast<double>();
        panel_largest = std::max(panel_largest, c.norm());
        if (j == without[static_cast<std::size_t>(i)]) continue;
        highest = std::max(highest, x.row(i).cast<double>().dot(c) - 0.5 * c.squaredNorm());
      }
      const double score = scores[static_cast<std::size_t>(i)];
      if (std::isinf(highest)) {
        EXPECT_LT(score, -1e30);
        continue;
      }
      EXPECT_GE(score, highest - 1e-6 * (norm * norm + largest * largest));
      // Half a step in each column, of the row and of the centroids, twice.
      const double steps = std::sqrt(static_cast<double>(d)) / 127.0;
      EXPECT_LE(score, highest + 2.1 * steps * norm * panel_largest +
                           1e-6 * (norm * norm + largest * largest));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, EightBitScores,
                         ::testing::Values(std::tuple{1, 1, 1}, std::tuple{50, 33, 3},
                                           std::tuple{16, 16, 16}, std::tuple{100, 40, 32},
                                           std::tuple{47, 20, 77}));

TEST(EightBitRows, OfZerosScoreTheNormsOfTheCentroids) {
  if (!has_eight_bit_products()) GTEST_SKIP() << "no AVX-512 VNNI here";
  const Matrix<float> x = Matrix<float>::Zero(3, 5);
  Matrix<float> centroids = Matrix<float>::Ones(2, 5);
  centroids.row(1) *= 2.0F;
  const std::vector<std::int32_t> without(EightBitRows::kBlock, -1), first{0};
  std::vector<float> scores(EightBitRows::kBlock);
  bound_scores(EightBitRows(x, 1), 0, first.data(), 1, EightBitPanels(centroids)[0], without.data(),
               scores.data());
  EXPECT_FLOAT_EQ(scores[0], -2.5F);
}

TEST(EightBitRows, OfListedBlocksAreThoseOfAllAndOthersAreLeftAlone) {
  if (!has_eight_bit_products()) GTEST_SKIP() << "no AVX-512 VNNI here";
  constexpr Index kBlock = EightBitRows::kBlock, kBlocks = 9, kFirst = 2;
  const Matrix<float> x = uneven((kFirst + kBlocks) * kBlock, 21, 3), centroids = uneven(16, 21, 4);
  const EightBitRows rows(x, 1);
  const EightBitPanels panels(centroids);
  std::vector<std::int32_t> without(kBlocks * kBlock, -1), all(kBlocks);
  without[5] = 3;
  std::iota(all.begin(), all.end(), 0);
  std::vector<float> expected(without.size()), scores(without.size(), 7.0F);
  bound_scores(rows, kFirst * kBlock, all.data(), kBlocks, panels[0], without.data(),
               expected.data());
  const std::vector<std::int32_t> listed{0, 3, 4, 7, 8};
  bound_scores(rows, kFirst * kBlock, listed.data(), 5, panels[0], without.data(), scores.data());
  for (std::int32_t b = 0; b < kBlocks; ++b) {
    const bool is_listed = std::find(listed.begin(), listed.end(), b) != listed.end();
    for (Index n = 0; n < kBlock; ++n) {
      const auto i = static_cast<std::size_t>(b * kBlock + n);
      EXPECT_EQ(scores[i], is_listed ? expected[i] : 7.0F) << "row " << i;
    }
  }
}

}  // namespace
}  // namespace ecseq::compress
