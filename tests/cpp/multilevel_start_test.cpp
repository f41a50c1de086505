#include "../../src/graph/multilevel_start.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ecseq/graph/eigenpairs.hpp"
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
    const auto coarse = coarsen_problem(laplacian, 0.0, 2);
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
  EXPECT_FALSE(coarsen_problem(Laplacian(graph), 0.0, 2).has_value());
}

TEST(CoarseProblem, KeepsApartWhatHangsByAThread) {
  // Heavy pairs in a ring, and node 60 on a light edge: its quotient is the lowest of all nodes.
  testing::Edges edges;
  for (Index i = 0; i + 1 < 60; ++i) edges[{i, i + 1}] = i % 2 == 0 ? 2.0F : 0.5F;
  edges[{0, 59}] = 0.5F;
  edges[{7, 60}] = 1e-4F;
  const SparseGraph graph = testing::graph_of(61, edges);
  const Laplacian laplacian(graph);
  EXPECT_NEAR(low_end(laplacian, 1), 1e-4, 1e-10);
  EXPECT_NEAR(low_end(laplacian, 2), 2.5, 1e-6);
  const auto coarse = coarsen_problem(laplacian, 1e-3, 2);
  ASSERT_TRUE(coarse.has_value());
  EXPECT_EQ(coarse->graph.size(), 31);
  EXPECT_EQ(std::count(coarse->parent.begin(), coarse->parent.end(), coarse->parent[60]), 1);
  // Else it goes to its only neighbour.
  const auto merged = coarsen_problem(laplacian, 0.0, 2);
  ASSERT_TRUE(merged.has_value());
  EXPECT_EQ(merged->parent[60], merged->parent[7]);
}

TEST(Eigenpairs, OfNodesThatHangByAThreadAreFoundInTheCoarserGraph) {
  // A torus of 4900 nodes with 20 nodes more, each on an edge of its own lightness.
  constexpr Index kSide = 70, kNodes = kSide * kSide, kHanging = 20;
  testing::Edges edges;
  const auto join = [&](Index i, Index j) { edges[{std::min(i, j), std::max(i, j)}] = 1.0F; };
  for (Index r = 0; r < kSide; ++r) {
    for (Index c = 0; c < kSide; ++c) {
      join(r * kSide + c, r * kSide + (c + 1) % kSide);
      join(r * kSide + c, (r + 1) % kSide * kSide + c);
    }
  }
  for (Index h = 0; h < kHanging; ++h) {
    edges[{239 * h, kNodes + h}] = std::ldexp(1e-4F, -static_cast<int>(h));
  }
  const SparseGraph graph = testing::graph_of(kNodes + kHanging, edges);
  EigenpairOptions options;
  options.count = 12;
  options.residual_floor = 1e-5;
  const Eigenpairs pairs = nonzero_eigenpairs(Laplacian(graph), options);
  EXPECT_TRUE(pairs.converged);
  EXPECT_LE(pairs.iterations, 3);
  // The 12th lowest edge, with a rigid torus at its other end.
  const double weight = std::ldexp(1e-4, -static_cast<int>(kHanging - 12));
  EXPECT_NEAR(pairs.values[11], weight, 0.05 * weight);
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
