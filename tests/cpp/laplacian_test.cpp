#include "ecseq/graph/laplacian.hpp"

#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>

#include "random_graph.hpp"

namespace ecseq::graph {
namespace {

using testing::random_graph;
using testing::side_by_side;

Eigen::MatrixXd dense_weights(const SparseGraph& graph) {
  Eigen::MatrixXd out = Eigen::MatrixXd::Zero(graph.size(), graph.size());
  for (Index i = 0; i < graph.size(); ++i) {
    for (std::size_t e = 0; e < graph.neighbors_of(i).size(); ++e) {
      out(i, graph.neighbors_of(i)[e]) = graph.weights_of(i)[e];
    }
  }
  return out;
}

SparseGraph with_isolated_node() {
  return side_by_side(random_graph(40, 6, 1), SparseGraph{{0, 0}, {}, {}});
}

TEST(Laplacian, IsDegreesMinusWeights) {
  const SparseGraph graph = with_isolated_node();
  const Eigen::MatrixXd weights = dense_weights(graph);
  const Eigen::VectorXd degrees = weights.rowwise().sum();
  const Eigen::MatrixXd expected = Eigen::MatrixXd(degrees.asDiagonal()) - weights;
  EXPECT_TRUE(Eigen::MatrixXd(Laplacian(graph).sparse()).isApprox(expected, 1e-12));

  Eigen::VectorXd scale = degrees.cwiseSqrt().cwiseInverse();
  scale[40] = 0.0;
  const Eigen::MatrixXd normalized = scale.asDiagonal() * expected * scale.asDiagonal();
  EXPECT_TRUE(Eigen::MatrixXd(Laplacian(graph, LaplacianKind::kNormalized).sparse())
                  .isApprox(normalized, 1e-12));
}

TEST(Laplacian, AppliesAsItsMatrix) {
  const SparseGraph graph = with_isolated_node();
  for (const auto kind : {LaplacianKind::kCombinatorial, LaplacianKind::kNormalized}) {
    const Laplacian laplacian(graph, kind);
    for (const Index columns : {1, 16, 19}) {
      const Matrix<double> x = Matrix<double>::Random(41, columns);
      Matrix<double> y = Matrix<double>::Random(41, columns);
      const Matrix<double> expected = 0.5 * (laplacian.sparse() * x) - 2.0 * x + 3.0 * y;
      laplacian.apply(0.5, x, -2.0, 3.0, y, 2);
      EXPECT_TRUE(y.isApprox(expected, 1e-12)) << columns;
    }
  }
}

TEST(Laplacian, OverwritesWhatWasThereWhenToldTo) {
  const SparseGraph graph = with_isolated_node();
  const Matrix<double> x = Matrix<double>::Random(41, 3);
  Matrix<double> y = Matrix<double>::Constant(41, 3, std::numeric_limits<double>::quiet_NaN());
  Laplacian(graph).apply(1.0, x, 0.0, 0.0, y, 1);
  EXPECT_TRUE(y.allFinite());
}

TEST(Laplacian, BoundsItsSpectrum) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    const SparseGraph graph = random_graph(50, 8, seed);
    for (const auto kind : {LaplacianKind::kCombinatorial, LaplacianKind::kNormalized}) {
      const Laplacian laplacian(graph, kind);
      const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(
          Eigen::MatrixXd(laplacian.sparse()));
      EXPECT_LE(solver.eigenvalues().maxCoeff(), laplacian.upper_bound());
      EXPECT_GE(2 * solver.eigenvalues().maxCoeff(), laplacian.upper_bound());
    }
  }
}

}  // namespace
}  // namespace ecseq::graph
