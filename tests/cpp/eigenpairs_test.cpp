#include "ecseq/graph/eigenpairs.hpp"

#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>

#include "ecseq/core/error.hpp"
#include "random_graph.hpp"

namespace ecseq::graph {
namespace {

using testing::random_graph;
using testing::side_by_side;
using DenseSolver = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>;

EigenpairOptions first(Index count, double tolerance = 1e-8) {
  EigenpairOptions options;
  options.count = count;
  options.tolerance = tolerance;
  return options;
}

/// Values as the dense solver's; vectors orthonormal, and eigenvectors.
void expect_eigenpairs(const Laplacian& laplacian, const Eigenpairs& pairs, Index kernel) {
  const DenseSolver solver(Eigen::MatrixXd(laplacian.sparse()));
  const auto count = static_cast<Index>(pairs.values.size());
  ASSERT_EQ(pairs.vectors.cols(), count);
  EXPECT_TRUE(pairs.converged);
  for (Index j = 0; j < count; ++j) {
    const double value = pairs.values[static_cast<std::size_t>(j)];
    EXPECT_NEAR(value, solver.eigenvalues()[kernel + j], 1e-9) << j;
    const Eigen::VectorXd vector = pairs.vectors.col(j);
    EXPECT_LT((laplacian.sparse() * vector - value * vector).norm(), 1e-6) << j;
  }
  EXPECT_TRUE((pairs.vectors.transpose() * pairs.vectors)
                  .isApprox(Eigen::MatrixXd::Identity(count, count), 1e-9));
}

TEST(Eigenpairs, AreThoseOfTheDenseSolver) {
  for (const Index n : {60, 400}) {
    const SparseGraph graph = random_graph(n, 6, 3);
    for (const auto kind : {LaplacianKind::kCombinatorial, LaplacianKind::kNormalized}) {
      const Laplacian laplacian(graph, kind);
      expect_eigenpairs(laplacian, nonzero_eigenpairs(laplacian, first(9)), 1);
      expect_eigenpairs(laplacian, first_eigenpairs(laplacian, first(10)), 0);
    }
  }
}

TEST(Eigenpairs, OfAPathHaveAClosedForm) {
  testing::Edges edges;
  for (Index i = 0; i + 1 < 600; ++i) edges[{i, i + 1}] = 1.0F;
  const SparseGraph graph = testing::graph_of(600, edges);
  const Eigenpairs pairs = nonzero_eigenpairs(Laplacian(graph), first(5, 1e-6));
  EXPECT_GT(pairs.iterations, 0);
  for (int j = 1; j <= 5; ++j) {
    const double expected = 2 - 2 * std::cos(M_PI * j / 600);
    EXPECT_NEAR(pairs.values[static_cast<std::size_t>(j - 1)], expected, 1e-6 * expected);
  }
}

TEST(Eigenpairs, AreFoundAsOftenAsTheyOccur) {
  // Three copies of one graph: every eigenvalue three times, and two isolated nodes.
  const SparseGraph part = random_graph(150, 6, 4);
  const SparseGraph isolated{{0, 0, 0}, {}, {}};
  const SparseGraph graph = side_by_side(side_by_side(part, part), side_by_side(part, isolated));
  for (const auto kind : {LaplacianKind::kCombinatorial, LaplacianKind::kNormalized}) {
    const Laplacian laplacian(graph, kind);
    expect_eigenpairs(laplacian, nonzero_eigenpairs(laplacian, first(9)), 5);
    expect_eigenpairs(laplacian, first_eigenpairs(laplacian, first(11)), 0);
    expect_eigenpairs(laplacian, first_eigenpairs(laplacian, first(3)), 0);
  }
}

TEST(Eigenpairs, AreNoMoreThanThereAre) {
  const SparseGraph isolated{{0, 0, 0}, {}, {}};
  const SparseGraph pair = testing::graph_of(2, {{{0, 1}, 0.5F}});
  EXPECT_TRUE(nonzero_eigenpairs(Laplacian(isolated), first(4)).values.empty());
  const Eigenpairs pairs = nonzero_eigenpairs(Laplacian(pair), first(4));
  ASSERT_EQ(pairs.values.size(), 1U);
  EXPECT_NEAR(pairs.values[0], 1.0, 1e-12);
  EXPECT_EQ(first_eigenpairs(Laplacian(pair), first(4)).values.size(), 2U);
  EXPECT_THROW(nonzero_eigenpairs(Laplacian(pair), first(0)), InvalidArgument);
}

TEST(Eigenpairs, AreTheSameBitsForEveryThreadCount) {
  const SparseGraph graph = random_graph(9000, 8, 5);
  EigenpairOptions options = first(6, 1e-2);
  options.num_threads = 1;
  const Eigenpairs one = nonzero_eigenpairs(Laplacian(graph), options);
  options.num_threads = 2;
  const Eigenpairs two = nonzero_eigenpairs(Laplacian(graph), options);
  EXPECT_GT(one.iterations, 0);
  EXPECT_EQ(one.values, two.values);
  EXPECT_EQ(one.vectors, two.vectors);
}

TEST(Eigenpairs, SayWhenTheyDidNotConverge) {
  const SparseGraph graph = random_graph(400, 6, 6);
  EigenpairOptions options = first(5, 1e-12);
  options.max_iterations = 1;
  const Eigenpairs pairs = nonzero_eigenpairs(Laplacian(graph), options);
  EXPECT_FALSE(pairs.converged);
  EXPECT_GT(pairs.residual, 1e-12);
}

TEST(Eigenpairs, StopWhenTheCallbackSaysSo) {
  const SparseGraph graph = random_graph(400, 6, 6);
  EXPECT_THROW(nonzero_eigenpairs(Laplacian(graph), first(5),
                                  [](const Progress& progress) { return progress.done < 1; }),
               Interrupted);
}

}  // namespace
}  // namespace ecseq::graph
