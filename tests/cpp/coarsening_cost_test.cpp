#include "ecseq/compress/coarsening_cost.hpp"

#include <gtest/gtest.h>

#include "ecseq/graph/laplacian.hpp"
#include "random_graph.hpp"

namespace ecseq::compress {
namespace {

/// ||B^T L_S B||_F / (|S| - 1) by the matrices of the definition.
double cost_by_definition(const graph::SparseGraph& graph, const Matrix<double>& target,
                          const std::vector<Index>& set) {
  const Eigen::MatrixXd laplacian = Eigen::MatrixXd(graph::Laplacian(graph).sparse());
  const auto size = static_cast<Index>(set.size());
  Eigen::MatrixXd weights = Eigen::MatrixXd::Zero(size, size), members(size, target.cols());
  Eigen::VectorXd degrees(size);
  for (Index r = 0; r < size; ++r) {
    const Index i = set[static_cast<std::size_t>(r)];
    members.row(r) = target.row(i);
    degrees[r] = laplacian(i, i);
    for (Index c = 0; c < size; ++c) {
      if (c != r) weights(r, c) = -laplacian(i, set[static_cast<std::size_t>(c)]);
    }
  }
  const Eigen::MatrixXd centring =
      Eigen::MatrixXd::Identity(size, size) -
      Eigen::MatrixXd::Constant(size, size, 1.0 / static_cast<double>(size));
  const Eigen::MatrixXd b = centring * members;
  const Eigen::VectorXd diagonal = 2 * degrees - weights.rowwise().sum();
  const Eigen::MatrixXd local = Eigen::MatrixXd(diagonal.asDiagonal()) - weights;
  return (b.transpose() * local * b).norm() / static_cast<double>(size - 1);
}

TEST(VariationCost, IsTheDefinitionByMatrices) {
  const graph::SparseGraph graph = testing::random_graph(80, 12, 1);
  const std::vector<double> degrees = graph::weighted_degrees(graph);
  for (const Index k : {1, 4, 9}) {
    const Matrix<double> target = Matrix<double>::Random(80, k);
    VariationCost cost(graph, degrees, target);
    Rng rng(2);
    for (Index i = 0; i < 80; ++i) {
      std::vector<Index> neighborhood{i};
      for (const auto j : graph.neighbors_of(i)) neighborhood.push_back(j);
      // and a set of nodes that need not be neighbours
      std::vector<Index> any = rng.permutation(80);
      any.resize(static_cast<std::size_t>(2 + rng.below(20)));
      for (const auto& set : {neighborhood, any}) {
        const double expected = cost_by_definition(graph, target, set);
        EXPECT_NEAR(cost(set), expected, 1e-12 * expected) << i;
      }
    }
  }
}

TEST(VariationCost, IsTheDefinitionBesideAHub) {
  testing::Edges edges = testing::random_edges(80, 4, 4);
  for (Index j = 1; j < 80; ++j) edges[{0, j}] = 0.5F + 0.01F * static_cast<float>(j);
  const graph::SparseGraph graph = testing::graph_of(80, edges);
  const std::vector<double> degrees = graph::weighted_degrees(graph);
  const Matrix<double> target = Matrix<double>::Random(80, 5);
  VariationCost cost(graph, degrees, target);
  for (const auto& set : {std::vector<Index>{7, 0}, {0, 33, 34}, {5, 0, 60, 61}}) {
    const double expected = cost_by_definition(graph, target, set);
    EXPECT_NEAR(cost(set), expected, 1e-12 * expected);
  }
}

TEST(VariationCost, OfAnEdgeHasAShortForm) {
  const graph::SparseGraph graph = testing::random_graph(50, 8, 3);
  const std::vector<double> degrees = graph::weighted_degrees(graph);
  const Matrix<double> target = Matrix<double>::Random(50, 9);
  VariationCost cost(graph, degrees, target);
  for (Index i = 0; i < 50; ++i) {
    for (const auto j : graph.neighbors_of(i)) {
      const double expected = cost(std::vector<Index>{i, j});
      EXPECT_NEAR(variation_edge_cost(degrees, target, i, j), expected, 1e-12 * expected);
    }
  }
}

}  // namespace
}  // namespace ecseq::compress
