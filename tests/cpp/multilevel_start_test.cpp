#include "../../src/graph/multilevel_start.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "ecseq/graph/renumbering.hpp"
#include "random_graph.hpp"

namespace ecseq::graph {
namespace {

TEST(CoarseProblem, IsTheFirstOneOnVectorsConstantWithinGroups) {
  // Heavy pairs in a ring of light edges.
  testing::Edges edges;
  for (Index i = 0; i + 1 < 60; ++i) edges[{i, i + 1}] = i % 2 == 0 ? 2.0F : 0.5F;
  edges[{0, 59}] = 0.5F;
  const SparseGraph graph = testing::graph_of(60, edges);
  for (const auto kind : {LaplacianKind::kCombinatorial, LaplacianKind::kNormalized}) {
    const Laplacian laplacian(graph, kind);
    const auto coarse = coarsen_problem(laplacian, 2);
    ASSERT_TRUE(coarse.has_value());
    ASSERT_EQ(coarse->graph.size(), 30);
    for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(coarse->parent[i], static_cast<Index>(i / 2));
    const Matrix<double> lift = prolong(laplacian, *coarse, Matrix<double>::Identity(30, 30), 2);
    EXPECT_TRUE((lift.transpose() * lift).isApprox(Eigen::MatrixXd::Identity(30, 30), 1e-12));
    const Eigen::MatrixXd galerkin = lift.transpose() * (laplacian.sparse() * lift);
    const Laplacian operation(coarse->graph, coarse->masses);
    EXPECT_TRUE(galerkin.isApprox(Eigen::MatrixXd(operation.sparse()), 1e-12));
  }
}

TEST(CoarseProblem, IsNoneOfAnExpander) {
  const SparseGraph graph = testing::random_graph(3000, 20, 1);
  EXPECT_FALSE(coarsen_problem(Laplacian(graph), 2).has_value());
}

TEST(BreadthFirstOrder, GoesByDistanceAndRenumbers) {
  // 0 - 3 - 1 - 4, and 2 alone.
  const SparseGraph graph = testing::graph_of(5, {{{0, 3}, 1.0F}, {{1, 3}, 2.0F}, {{1, 4}, 3.0F}});
  const std::vector<Index> order = breadth_first_order(graph);
  EXPECT_EQ(order, (std::vector<Index>{0, 3, 1, 4, 2}));
  const SparseGraph path = renumber(graph, order, 2);
  validate(path);
  const SparseGraph expected =
      testing::graph_of(5, {{{0, 1}, 1.0F}, {{1, 2}, 2.0F}, {{2, 3}, 3.0F}});
  EXPECT_EQ(path.offsets, expected.offsets);
  EXPECT_EQ(path.neighbors, expected.neighbors);
  EXPECT_EQ(path.weights, expected.weights);
}

}  // namespace
}  // namespace ecseq::graph
