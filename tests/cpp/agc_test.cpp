#include "ecseq/compress/agc.hpp"

#include <gtest/gtest.h>

#include <Eigen/SVD>
#include <cmath>
#include <numeric>

#include "ecseq/compress/kmeans.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/graph/knn_graph.hpp"
#include "ecseq/graph/normalized_adjacency.hpp"
#include "expect_refused.hpp"

namespace ecseq::compress {
namespace {

using ecseq::testing::expect_refused;

/// Blobs of equal size, row i in blob i % blobs.
Matrix<float> blobs(Index n, Index d, Index blobs, double spread, std::uint64_t seed) {
  Rng rng(seed);
  Matrix<double> centre(blobs, d);
  for (Index i = 0; i < centre.size(); ++i) centre.data()[i] = 4.0 * rng.normal();
  Matrix<float> x(n, d);
  for (Index i = 0; i < n; ++i) {
    for (Index k = 0; k < d; ++k) {
      x(i, k) = static_cast<float>(centre(i % blobs, k) + spread * rng.normal());
    }
  }
  return x;
}

Matrix<float> one_label(Index n) { return Matrix<float>::Ones(n, 1); }

graph::SparseGraph near_graph(const Matrix<float>& x) { return graph::knn_graph(x, 6).graph; }

/// D^-1/2 (A + I) D^-1/2 as a dense matrix.
Eigen::MatrixXd dense_adjacency(const graph::SparseGraph& graph) {
  Eigen::MatrixXd a = Eigen::MatrixXd::Identity(graph.size(), graph.size());
  for (Index i = 0; i < graph.size(); ++i) {
    const auto neighbors = graph.neighbors_of(i);
    for (std::size_t e = 0; e < neighbors.size(); ++e) a(i, neighbors[e]) = graph.weights_of(i)[e];
  }
  const Eigen::VectorXd root = a.rowwise().sum().cwiseSqrt().cwiseInverse();
  return root.asDiagonal() * a * root.asDiagonal();
}

AgcOptions with_k(Index k) {
  AgcOptions options;
  options.n_representatives = k;
  return options;
}

TEST(NormalizedAdjacency, EqualsTheDenseMatrix) {
  const Matrix<float> x = blobs(90, 5, 3, 1.0, 1);
  const graph::SparseGraph graph = near_graph(x);
  const graph::NormalizedAdjacency adjacency(graph);
  const Eigen::MatrixXd dense = dense_adjacency(graph);
  Matrix<float> out;
  adjacency.propagate(x, 0.5F, 0.25F, 2, out);
  const Eigen::MatrixXd expected =
      0.5 * x.cast<double>() + 0.25 * (dense * x.cast<double>().eval());
  EXPECT_LT((out.cast<double>() - expected).cwiseAbs().maxCoeff(), 1e-5);
  for (Index i = 0; i < 90; ++i) {
    Index entries = 0;
    for (const Index j : adjacency.columns_of(i)) {
      EXPECT_GT(dense(i, j), 0.0);
      ++entries;
    }
    EXPECT_EQ(entries, (dense.row(i).array() > 0.0).count());
  }
}

TEST(LeftSingularVectors, EqualThoseOfTheDenseDecomposition) {
  const Matrix<float> x = blobs(200, 7, 4, 1.0, 2);
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(x.cast<double>(), Eigen::ComputeThinU);
  const Matrix<float> found = left_singular_vectors(x, 5, 2);
  ASSERT_EQ(found.cols(), 5);
  for (Index m = 0; m < 5; ++m) {
    const double cosine = found.col(m).cast<double>().dot(svd.matrixU().col(m));
    EXPECT_NEAR(std::abs(cosine), 1.0, 1e-5);
  }
  EXPECT_EQ(left_singular_vectors(x, 100, 1).cols(), 7);
}

TEST(LeftSingularVectors, LeaveOutDirectionsThatHoldNothing) {
  Matrix<float> x = blobs(50, 4, 3, 1.0, 3);
  x.col(2) = x.col(0);
  EXPECT_EQ(left_singular_vectors(x, 4, 1).cols(), 3);
}

TEST(Agc, AtAFixedPowerEqualsKMeansOnTheDenseSingularVectors) {
  const Matrix<float> x = blobs(240, 6, 8, 0.7, 4);
  const graph::SparseGraph graph = near_graph(x);
  AgcOptions options = with_k(8);
  options.power = 3;
  options.rank = 5;
  const AgcResult result = agc(x, one_label(240), graph, options);
  EXPECT_EQ(result.power, 3);

  const Eigen::MatrixXd filter =
      0.5 * (Eigen::MatrixXd::Identity(240, 240) + dense_adjacency(graph));
  const Eigen::MatrixXd smooth = filter * (filter * (filter * x.cast<double>()));
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(smooth, Eigen::ComputeThinU);
  const Matrix<float> u = svd.matrixU().leftCols(5).cast<float>();
  KMeansOptions kmeans_options;
  kmeans_options.n_representatives = 8;
  const Compression expected = kmeans(u, one_label(240), kmeans_options);
  ASSERT_EQ(result.compression.representatives.size(), expected.representatives.size());
  EXPECT_EQ(result.compression.assignment, expected.assignment);

  // The distance within clusters, pair by pair.
  double sum = 0.0;
  for (Index c = 0; c < 8; ++c) {
    double distances = 0.0, pairs = 0.0;
    for (Index i = 0; i < 240; ++i) {
      for (Index j = 0; j < 240; ++j) {
        if (i == j || expected.assignment[static_cast<std::size_t>(i)] != c ||
            expected.assignment[static_cast<std::size_t>(j)] != c) {
          continue;
        }
        distances += (smooth.row(i) - smooth.row(j)).squaredNorm();
        pairs += 1.0;
      }
    }
    if (pairs > 0.0) sum += distances / pairs;
  }
  EXPECT_NEAR(result.cluster_distances.at(0), sum / 8.0, 1e-4 * sum);
}

TEST(Agc, ChoosesThePowerBeforeTheDistanceFirstRises) {
  const Matrix<float> x = blobs(300, 5, 10, 1.5, 5);
  AgcOptions options = with_k(12);
  options.max_power = 40;
  const AgcResult result = agc(x, one_label(300), near_graph(x), options);
  const auto& distances = result.cluster_distances;
  ASSERT_GE(distances.size(), 2U);
  const auto power = static_cast<std::size_t>(result.power);
  for (std::size_t p = 1; p < power; ++p) EXPECT_LE(distances[p], distances[p - 1]);
  if (power < distances.size()) {
    EXPECT_EQ(power + 1, distances.size());
    EXPECT_GT(distances[power], distances[power - 1]);
  } else {
    EXPECT_EQ(result.power, 40);
  }
  // The clusters are those of that power.
  options.power = result.power;
  EXPECT_EQ(agc(x, one_label(300), near_graph(x), options).compression.assignment,
            result.compression.assignment);
}

TEST(Agc, RepresentativesAreTheMeansOfTheirMembers) {
  const Matrix<float> x = blobs(150, 4, 6, 1.0, 6);
  for (const Index k : {1, 9, 150}) {
    const AgcResult result = agc(x, one_label(150), near_graph(x), with_k(k));
    const Representatives& found = result.compression.representatives;
    EXPECT_LE(found.size(), k);
    EXPECT_EQ(result.compression.report.requested, k);
    EXPECT_EQ(std::accumulate(found.mass.begin(), found.mass.end(), 0.0), 150.0);
    EXPECT_EQ(found.label_sums.sum(), 150.0);
    double objective = 0.0;
    for (Index j = 0; j < found.size(); ++j) {
      RowVector<double> mean = RowVector<double>::Zero(4);
      for (Index i = 0; i < 150; ++i) {
        if (result.compression.assignment[static_cast<std::size_t>(i)] != j) continue;
        mean += x.row(i).cast<double>();
        objective += (x.row(i) - found.vectors.row(j)).cast<double>().squaredNorm();
      }
      mean /= found.mass[static_cast<std::size_t>(j)];
      EXPECT_LT((found.vectors.row(j).cast<double>() - mean).norm(), 1e-5);
    }
    EXPECT_NEAR(result.compression.report.objective, objective, 1e-6 * (1.0 + objective));
  }
}

TEST(Agc, IsTheSameForEveryThreadCount) {
  const Matrix<float> x = blobs(5000, 6, 20, 1.0, 7);
  const graph::SparseGraph graph = near_graph(x);
  AgcOptions options = with_k(25);
  options.max_power = 6;
  options.num_threads = 1;
  const AgcResult one = agc(x, one_label(5000), graph, options);
  options.num_threads = 2;
  const AgcResult two = agc(x, one_label(5000), graph, options);
  EXPECT_EQ(one.compression.assignment, two.compression.assignment);
  EXPECT_EQ(one.compression.representatives.vectors, two.compression.representatives.vectors);
  EXPECT_EQ(one.cluster_distances, two.cluster_distances);
}

TEST(Agc, TakesIsolatedNodesAndDuplicates) {
  Matrix<float> x(60, 2);
  for (Index i = 0; i < 60; ++i) x.row(i).setConstant(static_cast<float>(i % 5));
  graph::SparseGraph alone;
  alone.offsets.assign(61, 0);
  const AgcResult result = agc(x, one_label(60), alone, with_k(5));
  for (const double mass : result.compression.representatives.mass) EXPECT_GT(mass, 0.0);
  EXPECT_EQ(agc(Matrix<float>(Matrix<float>::Zero(60, 2)), one_label(60), alone, with_k(1))
                .compression.representatives.size(),
            1);
}

TEST(Agc, RefusesAndStops) {
  const Matrix<float> x = blobs(40, 3, 4, 1.0, 8);
  const graph::SparseGraph graph = near_graph(x);
  expect_refused([&] { agc(x, one_label(40), graph, with_k(0)); },
                 "n_representatives: expected at least 1, got 0");
  expect_refused([&] { agc(Matrix<float>(x.topRows(30)), one_label(30), graph, with_k(3)); },
                 "graph: expected a node for each of the 30 rows of X, got 40");
  expect_refused([&] { agc(x, one_label(39), graph, with_k(3)); },
                 "labels: expected a row for each of the 40 rows of X, got 39");
  int calls = 0;
  EXPECT_THROW(
      agc(x, one_label(40), graph, with_k(3), [&](const Progress&) { return ++calls < 5; }),
      Interrupted);
  EXPECT_EQ(calls, 5);
}

}  // namespace
}  // namespace ecseq::compress
