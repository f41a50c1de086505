#include "../../src/compress/rows_by_panel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "../../src/compress/centroid_panels.hpp"
#include "ecseq/kernels/vec.hpp"
#include "gaussian_matrix.hpp"

namespace ecseq::compress {
namespace {

using testing::gaussian;

Index nearest(const Matrix<float>& points, const Matrix<float>& x, Index i) {
  Index found = 0;
  (points.rowwise() - x.row(i)).rowwise().squaredNorm().minCoeff(&found);
  return found;
}

// Sizes that are no multiple of a panel, a tile or a chunk, and fewer centroids than a panel holds.
class RowsByPanelSizes : public ::testing::TestWithParam<Index> {};

TEST_P(RowsByPanelSizes, SortsByNearestMeanThenByNearestCentroidThenByNumber) {
  constexpr Index kWidth = kernels::kLanes<float>;
  const Index k = GetParam();
  const Matrix<float> x = gaussian(3001, 7, 1), centroids = gaussian(k, 7, 2);
  const std::vector<Index> places = order_in_panels(centroids, kWidth);
  const Matrix<float> ordered = take_rows<float>(centroids, places);
  const Index panels = (k + kWidth - 1) / kWidth;
  Matrix<float> means(panels, 7);
  for (Index p = 0; p < panels; ++p) {
    means.row(p) =
        ordered.middleRows(p * kWidth, std::min(kWidth, k - p * kWidth)).colwise().mean();
  }
  std::vector<Index> key(3001), expected(3001);
  for (Index i = 0; i < 3001; ++i) {
    const Index p = nearest(means, x, i);
    const Matrix<float> panel = ordered.middleRows(p * kWidth, std::min(kWidth, k - p * kWidth));
    key[static_cast<std::size_t>(i)] = p * kWidth + nearest(panel, x, i);
  }
  std::iota(expected.begin(), expected.end(), Index{0});
  std::stable_sort(expected.begin(), expected.end(), [&key](Index a, Index b) {
    return key[static_cast<std::size_t>(a)] < key[static_cast<std::size_t>(b)];
  });
  EXPECT_EQ(rows_by_panel(x, centroids, 1), expected);
  EXPECT_EQ(rows_by_panel(x, centroids, 3), expected);
}

INSTANTIATE_TEST_SUITE_P(Centroids, RowsByPanelSizes, ::testing::Values<Index>(1, 5, 16, 77, 600));

TEST(RowsByPanel, IsAPermutationAlsoWhereScoresOverflow) {
  const Matrix<float> x = gaussian(100, 4, 3) * 1e25F, centroids = gaussian(40, 4, 4) * 1e25F;
  std::vector<Index> order = rows_by_panel(x, centroids, 1), numbers(100);
  std::sort(order.begin(), order.end());
  std::iota(numbers.begin(), numbers.end(), Index{0});
  EXPECT_EQ(order, numbers);
}

}  // namespace
}  // namespace ecseq::compress
