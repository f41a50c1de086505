#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "ecseq/core/rng.hpp"
#include "ecseq/graph/epsilon_graph.hpp"
#include "ecseq/graph/knn_graph.hpp"
#include "ecseq/graph/range_search.hpp"
#include "expect_refused.hpp"
#include "gaussian_matrix.hpp"

namespace ecseq::graph {
namespace {

using ecseq::testing::expect_refused;
using ecseq::testing::gaussian;

double true_distance(const Matrix<float>& x, Index i, Index j, const std::string& metric) {
  const RowVector<double> a = x.row(i).cast<double>(), b = x.row(j).cast<double>();
  if (metric == "euclidean") return (a - b).norm();
  const double norms = a.norm() * b.norm();
  return norms > 0.0 ? 1.0 - a.dot(b) / norms : 1.0;
}

std::set<std::pair<Index, Index>> edges_of(const SparseGraph& graph) {
  std::set<std::pair<Index, Index>> edges;
  for (Index i = 0; i < graph.size(); ++i) {
    for (const Index j : graph.neighbors_of(i)) edges.emplace(i, j);
  }
  return edges;
}

bool equal(const SparseGraph& a, const SparseGraph& b) {
  return a.offsets == b.offsets && a.neighbors == b.neighbors && a.weights == b.weights;
}

// Sizes around the tiles and chunks, metrics, and rows far from the origin.
class NearestNeighbors
    : public ::testing::TestWithParam<std::tuple<Index, Index, Index, std::string, double>> {};

TEST_P(NearestNeighbors, EqualBruteForce) {
  const auto [n, d, k, metric, offset] = GetParam();
  const Matrix<float> x = gaussian(n, d, 1, 1.0, offset);
  NeighborSearch search;
  search.metric = metric;
  const NeighborTable table = nearest_neighbors(x, k, search);
  EXPECT_EQ(table.recall, 1.0);
  for (Index i = 0; i < n; ++i) {
    std::vector<double> expected;
    for (Index j = 0; j < n; ++j) {
      if (j != i) expected.push_back(true_distance(x, i, j, metric));
    }
    std::sort(expected.begin(), expected.end());
    std::set<Index> seen{i};
    for (Index j = 0; j < k; ++j) {
      EXPECT_TRUE(seen.insert(table.rows(i, j)).second);
      EXPECT_NEAR(table.distances(i, j), expected[static_cast<std::size_t>(j)], 2e-5);
      EXPECT_NEAR(table.distances(i, j), true_distance(x, i, table.rows(i, j), metric), 2e-5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, NearestNeighbors,
    ::testing::Values(
        std::tuple<Index, Index, Index, std::string, double>{2, 1, 1, "euclidean", 0},
        std::tuple<Index, Index, Index, std::string, double>{65, 3, 64, "cosine", 0},
        std::tuple<Index, Index, Index, std::string, double>{700, 7, 5, "euclidean", 0},
        std::tuple<Index, Index, Index, std::string, double>{700, 7, 5, "euclidean", 50},
        std::tuple<Index, Index, Index, std::string, double>{515, 32, 16, "cosine", 1}));

TEST(NearestNeighbors, TiesAndDuplicatesGoToTheLowestRows) {
  Matrix<float> x = Matrix<float>::Zero(40, 2);
  x.row(7).setConstant(1.0F);
  const NeighborTable table = nearest_neighbors(x, 3);
  EXPECT_EQ(table.rows.row(0), (RowVector<std::int32_t>{{1, 2, 3}}));
  EXPECT_EQ(table.rows.row(2), (RowVector<std::int32_t>{{0, 1, 3}}));
  EXPECT_EQ(table.rows.row(7), (RowVector<std::int32_t>{{0, 1, 2}}));
  EXPECT_EQ(table.distances(2, 2), 0.0F);
  EXPECT_FLOAT_EQ(table.distances(7, 0), std::sqrt(2.0F));
}

TEST(NearestNeighbors, AreTheSameForEveryThreadCount) {
  const Matrix<float> x = gaussian(3000, 9, 2);
  for (const std::string index : {"exact", "cells", "hnsw"}) {
    NeighborSearch search;
    if (index != "exact") {
      search.approximate_above = 0;
      search.index = index;
    }
    search.num_threads = 1;
    const NeighborTable one = nearest_neighbors(x, 6, search);
    search.num_threads = 2;
    const NeighborTable two = nearest_neighbors(x, 6, search);
    EXPECT_EQ(one.rows, two.rows);
    EXPECT_EQ(one.distances, two.distances);
    EXPECT_EQ(one.recall, two.recall);
  }
}

TEST(NearestNeighbors, ApproximateOnesHaveTheRecallTheyReport) {
  const Matrix<float> x = gaussian(6000, 6, 3);
  for (const std::string metric : {"euclidean", "cosine"}) {
    NeighborSearch search;
    search.metric = metric;
    const NeighborTable exact = nearest_neighbors(x, 8, search);
    search.approximate_above = 0;
    for (const std::string index : {"cells", "hnsw"}) {
      search.index = index;
      for (const double wanted : {0.7, 0.95}) {
        search.recall = wanted;
        const NeighborTable found = nearest_neighbors(x, 8, search);
        double hits = 0.0;
        for (Index i = 0; i < x.rows(); ++i) {
          std::set<Index> truth(exact.rows.row(i).begin(), exact.rows.row(i).end());
          for (const Index j : found.rows.row(i)) hits += static_cast<double>(truth.count(j));
        }
        EXPECT_GE(found.recall, wanted);
        EXPECT_NEAR(hits / static_cast<double>(exact.rows.size()), found.recall, 0.02);
        if (index == "cells") {
          EXPECT_LT(found.recall, 1.0);
        }
      }
    }
  }
}

TEST(NearestNeighbors, ApproximateOnesAreFoundAmongDuplicates) {
  Matrix<float> x(500, 2);
  for (Index i = 0; i < 500; ++i) x.row(i).setConstant(static_cast<float>(i % 100));
  for (const std::string index : {"cells", "hnsw"}) {
    NeighborSearch search;
    search.approximate_above = 0;
    search.index = index;
    const NeighborTable table = nearest_neighbors(x, 7, search);
    for (Index i = 0; i < 500; ++i) {
      std::set<Index> seen{i};
      for (const Index j : table.rows.row(i)) EXPECT_TRUE(seen.insert(j).second);
      EXPECT_EQ(table.distances(i, 3), 0.0F);
      EXPECT_GT(table.distances(i, 4), 0.0F);
    }
  }
}

TEST(NearestNeighbors, RefuseWhatTheyCannotSearch) {
  Matrix<float> x = gaussian(5, 2, 4);
  expect_refused([&] { nearest_neighbors(x, 5); },
                 "n_neighbors: 5 asked for, but a row has only 4 others");
  expect_refused([&] { nearest_neighbors(x, 0); }, "n_neighbors: expected at least 1, got 0");
  NeighborSearch search;
  search.metric = "manhattan";
  EXPECT_THROW(nearest_neighbors(x, 2, search), InvalidArgument);
  search = {};
  search.index = "tree";
  EXPECT_THROW(nearest_neighbors(x, 2, search), InvalidArgument);
  search = {};
  search.recall = 0.0;
  EXPECT_THROW(nearest_neighbors(x, 2, search), InvalidArgument);
  x(3, 1) = 1e19F;
  EXPECT_THROW(nearest_neighbors(x, 2), InvalidArgument);
  x(3, 1) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(nearest_neighbors(x, 2), InvalidArgument);
  EXPECT_THROW(nearest_neighbors(gaussian(9, 2, 5), 2, {}, [](const Progress&) { return false; }),
               Interrupted);
}

TEST(KnnGraph, JoinsRowsWhereEitherIsNearTheOther) {
  const Matrix<float> x = gaussian(300, 4, 6);
  const NeighborTable table = nearest_neighbors(x, 5);
  std::set<std::pair<Index, Index>> expected;
  std::vector<float> last;
  for (Index i = 0; i < 300; ++i) {
    last.push_back(table.distances(i, 4));
    for (const Index j : table.rows.row(i)) {
      expected.emplace(i, j);
      expected.emplace(j, i);
    }
  }
  std::sort(last.begin(), last.end());
  for (const std::string weight : {"gaussian", "similarity", "one"}) {
    KnnGraphOptions options;
    options.weight = weight;
    const KnnGraph result = knn_graph(x, 5, options);
    validate(result.graph);
    EXPECT_EQ(edges_of(result.graph), expected);
    EXPECT_FLOAT_EQ(static_cast<float>(result.scale), last[150]);
    for (Index i = 0; i < 300; ++i) {
      for (std::size_t e = 0; e < result.graph.neighbors_of(i).size(); ++e) {
        const double d = true_distance(x, i, result.graph.neighbors_of(i)[e], "euclidean");
        const double s = result.scale;
        const double value = weight == "one"          ? 1.0
                             : weight == "similarity" ? 1.0 / (1.0 + d)
                                                      : std::exp(-d * d / (2.0 * s * s));
        EXPECT_NEAR(result.graph.weights_of(i)[e], value, 1e-5);
      }
    }
  }
}

TEST(KnnGraph, OfDuplicatesAndOutliersHasPositiveWeights) {
  Matrix<float> x = Matrix<float>::Zero(50, 3);
  const KnnGraph same = knn_graph(x, 4);
  validate(same.graph);
  EXPECT_EQ(same.scale, 1.0);
  x.row(49).setConstant(1e6F);
  validate(knn_graph(x, 4).graph);
}

TEST(KnnGraph, OfPermutedRowsIsThePermutedGraph) {
  const Matrix<float> x = gaussian(200, 3, 7);
  const std::vector<Index> order = Rng(8).permutation(200);
  const auto edges = edges_of(knn_graph(x, 4).graph);
  std::set<std::pair<Index, Index>> back;
  for (const auto& [i, j] : edges_of(knn_graph(take_rows<float>(x, order), 4).graph)) {
    back.emplace(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(j)]);
  }
  EXPECT_EQ(back, edges);
}

TEST(EpsilonGraph, EqualsBruteForce) {
  for (const std::string metric : {"euclidean", "cosine"}) {
    const Matrix<float> x = gaussian(1100, 5, 9, 1.0, 2.0);
    const double radius = metric == "cosine" ? 0.02 : 1.1;
    std::set<std::pair<Index, Index>> expected;
    for (Index i = 0; i < x.rows(); ++i) {
      for (Index j = 0; j < x.rows(); ++j) {
        const double distance = true_distance(x, i, j, metric);
        ASSERT_GT(std::abs(distance - radius), 2e-7) << "choose another seed";
        if (i != j && distance <= radius) expected.emplace(i, j);
      }
    }
    ASSERT_GT(expected.size(), 1000U);
    EpsilonGraphOptions options;
    options.metric = metric;
    options.num_threads = 1;
    const SparseGraph graph = epsilon_graph(x, radius, options);
    validate(graph);
    EXPECT_EQ(edges_of(graph), expected);
    options.num_threads = 2;
    EXPECT_TRUE(equal(graph, epsilon_graph(x, radius, options)));
  }
}

TEST(EpsilonGraph, OfRadiusZeroJoinsDuplicates) {
  Matrix<float> x(9, 2);
  for (Index i = 0; i < 9; ++i) x.row(i).setConstant(static_cast<float>(i % 4) + 0.3F);
  const SparseGraph graph = epsilon_graph(x, 0.0);
  EXPECT_EQ(graph.n_edges(), 3 + 1 + 1 + 1);
  EXPECT_EQ(epsilon_graph(x, 100.0).n_edges(), 36);
}

TEST(EpsilonGraph, RefusesMoreEdgesThanItsBound) {
  const Matrix<float> x = Matrix<float>::Zero(20, 2);
  EpsilonGraphOptions options;
  options.max_edges = 189;
  expect_refused([&] { epsilon_graph(x, 1.0, options); },
                 "max_edges: more than 189 edges after 20 of 20 rows; take a smaller radius, "
                 "raise max_edges, or use a k-nearest-neighbour graph");
  options.max_edges = 190;
  EXPECT_EQ(epsilon_graph(x, 1.0, options).n_edges(), 190);
  EXPECT_THROW(epsilon_graph(x, -1.0), InvalidArgument);
}

TEST(RangeSearch, EqualsBruteForce) {
  Matrix<float> x = gaussian(300, 5, 11, 1.0, 3.0);
  x.row(299) = x.row(0);
  std::vector<Index> rows, numbers;
  for (Index i = 0; i < 300; ++i) rows.push_back(i);
  for (Index j = 0; j < 131; ++j) numbers.push_back((7 * j) % 300);
  for (const double radius : {0.0, 1.1, 3.0, 100.0}) {
    const RangeSearch search(x, radius);
    const RangeSearch::Points points = search.points(numbers);
    ASSERT_EQ(points.words(), 3);
    std::vector<std::uint64_t> bits(300 * 3, ~std::uint64_t{0});
    search.within(points, rows.data(), 300, bits.data());
    for (Index i = 0; i < 300; ++i) {
      for (Index j = 0; j < 192; ++j) {
        const bool found = (bits[static_cast<std::size_t>(3 * i + j / 64)] >> (j % 64) & 1) != 0;
        const bool expected = j < 131 && true_distance(x, i, numbers[static_cast<std::size_t>(j)],
                                                       "euclidean") <= radius;
        EXPECT_EQ(found, expected) << i << ' ' << j << ' ' << radius;
      }
    }
  }
}

TEST(CorrelationGraph, EqualsBruteForce) {
  Matrix<float> series = gaussian(150, 12, 10, 1.0, 100.0);
  series.row(4).setConstant(3.1F);
  std::set<std::pair<Index, Index>> expected;
  Matrix<double> centred = series.cast<double>();
  centred.colwise() -= centred.rowwise().mean().eval();
  const auto correlation = [&](Index i, Index j) {
    return centred.row(i).dot(centred.row(j)) / (centred.row(i).norm() * centred.row(j).norm());
  };
  for (Index i = 0; i < 150; ++i) {
    for (Index j = 0; j < 150; ++j) {
      if (i != j && i != 4 && j != 4 && correlation(i, j) >= 0.5) expected.emplace(i, j);
    }
  }
  ASSERT_GT(expected.size(), 100U);
  const SparseGraph graph = correlation_graph(series, 0.5);
  validate(graph);
  EXPECT_EQ(edges_of(graph), expected);
  EXPECT_TRUE(graph.neighbors_of(4).empty());
  for (Index i = 0; i < 150; ++i) {
    for (std::size_t e = 0; e < graph.neighbors_of(i).size(); ++e) {
      EXPECT_NEAR(graph.weights_of(i)[e], correlation(i, graph.neighbors_of(i)[e]), 1e-5);
    }
  }
  EXPECT_THROW(correlation_graph(series, 0.0), InvalidArgument);
}

}  // namespace
}  // namespace ecseq::graph
