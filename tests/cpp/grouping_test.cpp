#include "ecseq/compress/grouping.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "ecseq/compress/compressor.hpp"
#include "ecseq/compress/quantile_groups.hpp"
#include "ecseq/core/rng.hpp"
#include "expect_refused.hpp"

namespace ecseq::compress {
namespace {

using ecseq::testing::expect_refused;

Matrix<float> rows_of(std::initializer_list<float> values) {
  Matrix<float> x(static_cast<Index>(values.size()), 1);
  std::copy(values.begin(), values.end(), x.data());
  return x;
}

TEST(Grouping, StandsForItsRowsByTheirMeans) {
  const Matrix<float> x = rows_of({0, 2, 10, 20, 30}), labels = rows_of({1, 0, 1, 1, 0});
  // Cluster 1 has no row.
  const Compression found = represent_grouping(x, labels, {{0, 0, 2, 3, 3}, {}}, 2, 1);
  const Representatives& r = found.representatives;
  EXPECT_EQ(r.vectors, rows_of({1, 10, 25}));
  EXPECT_EQ(found.assignment, (std::vector<std::int64_t>{0, 0, 1, 2, 2}));
  EXPECT_EQ(r.mass, (std::vector<double>{2, 1, 2}));
  EXPECT_EQ(r.label_sums(0, 0), 1.0);
  EXPECT_EQ(r.label_sums(2, 0), 1.0);
  EXPECT_DOUBLE_EQ(found.report.objective, 1 + 1 + 25 + 25);
  EXPECT_EQ(found.report.points_used, 5);
}

TEST(Grouping, RowsOfNoClusterGoToTheNearest) {
  const Matrix<float> x = rows_of({0, 1, 2, 100, 101}), labels = Matrix<float>::Ones(5, 1);
  const Compression found = represent_grouping(x, labels, {{0, 0, -1, 1, -7}, {}}, 1, 1);
  EXPECT_EQ(found.assignment, (std::vector<std::int64_t>{0, 0, 0, 1, 1}));
  EXPECT_EQ(found.representatives.vectors, rows_of({0.5F, 100}));
  EXPECT_EQ(found.report.points_used, 3);
}

TEST(Grouping, ClustersOfEqualVectorsBecomeOne) {
  const Matrix<float> x = rows_of({-1, 1, -2, 2, 9}), labels = Matrix<float>::Ones(5, 1);
  const Compression means = represent_grouping(x, labels, {{0, 0, 1, 1, 2}, {}}, 1, 1);
  EXPECT_EQ(means.representatives.vectors, rows_of({0, 9}));
  EXPECT_EQ(means.assignment, (std::vector<std::int64_t>{0, 0, 0, 0, 1}));
  const Compression given =
      represent_grouping(x, labels, {{0, 0, 1, 1, 2}, rows_of({-0.0F, 9, 0.0F})}, 1, 1);
  EXPECT_EQ(given.representatives.vectors, rows_of({0, 9}));
  EXPECT_EQ(given.assignment, (std::vector<std::int64_t>{0, 0, 1, 1, 0}));
}

TEST(Grouping, IsRefusedWhereItDoesNotFit) {
  const Matrix<float> x = rows_of({0, 1, 2}), labels = Matrix<float>::Ones(3, 1);
  const auto refused = [&](const Grouping& grouping, const char* message) {
    expect_refused([&] { represent_grouping(x, labels, grouping, 1, 1); }, message);
  };
  refused({{0, 1}, {}}, "compressor: expected a cluster for each of the 3 rows, got 2");
  refused({{-1, -1, -1}, {}}, "compressor: no row belongs to a cluster");
  refused({{0, 1, 3}, {}}, "compressor: cluster 3 of 3 rows; clusters are numbered from 0");
  refused({{0, 1, 2}, rows_of({0, 1})},
          "compressor: expected vectors of at least 3 clusters and 1 columns, got [2, 1]");
}

TEST(CustomCompressor, IsCalledWithWhatThereIs) {
  const Matrix<float> x = rows_of({0, 10, 1, 11}), labels = rows_of({1, 2, 3, 4});
  CompressorOptions options;
  options.method = "custom";
  options.n_representatives = 2;
  options.custom = [&](const CompressionInput& input, Index k) {
    EXPECT_EQ(input.x.data, x.data());
    EXPECT_EQ(input.labels.data, labels.data());
    EXPECT_EQ(k, 2);
    return Grouping{{1, 0, 1, 0}, {}};
  };
  const Compression found = compress({x, labels, {}, nullptr}, options);
  EXPECT_EQ(found.representatives.vectors, rows_of({10.5F, 0.5F}));
  EXPECT_EQ(found.report.requested, 2);
  options.custom = nullptr;
  expect_refused(
      [&] {
        compress({x, labels, {}, nullptr}, options);
      },
      "compressor: 'custom' needs the function it stands for, which a model file does not keep");
}

TEST(QuantileGroups, AreOfEqualSizesByRank) {
  Rng rng(1);
  std::vector<float> values(103);
  for (float& v : values) v = static_cast<float>(rng.normal());
  const std::vector<int> group = quantile_groups(values, 5);
  std::vector<int> size(5, 0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ++size[static_cast<std::size_t>(group[i])];
    for (std::size_t j = 0; j < values.size(); ++j) {
      if (values[i] < values[j]) {
        EXPECT_LE(group[i], group[j]);
      }
    }
  }
  for (const int n : size) EXPECT_NEAR(n, 20.6, 0.7);
  EXPECT_EQ(quantile_groups(std::vector<float>{3, 1}, 5), (std::vector<int>{1, 0}));
  EXPECT_TRUE(quantile_groups({}, 5).empty());
  expect_refused([&] { quantile_groups(values, 0); }, "bins: expected at least 1, got 0");
}

}  // namespace
}  // namespace ecseq::compress
