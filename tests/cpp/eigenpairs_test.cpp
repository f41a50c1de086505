#include "ecseq/graph/eigenpairs.hpp"

#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>

#include "ecseq/core/error.hpp"
#include "expect_refused.hpp"
#include "random_graph.hpp"

namespace ecseq::graph {
namespace {

using testing::random_graph;
using testing::side_by_side;
using DenseSolver = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>;

const std::vector<std::string> kSolvers{"spectra", "chebyshev"};

EigenpairOptions first(Index count, double tolerance = 1e-8,
                       const std::string& solver = "spectra") {
  EigenpairOptions options;
  options.solver = solver;
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
      for (const auto& solver : kSolvers) {
        SCOPED_TRACE(solver);
        expect_eigenpairs(laplacian, nonzero_eigenpairs(laplacian, first(9, 1e-8, solver)), 1);
        expect_eigenpairs(laplacian, first_eigenpairs(laplacian, first(10, 1e-8, solver)), 0);
      }
    }
  }
}

TEST(Eigenpairs, OfAPathHaveAClosedForm) {
  testing::Edges edges;
  for (Index i = 0; i + 1 < 600; ++i) edges[{i, i + 1}] = 1.0F;
  const SparseGraph graph = testing::graph_of(600, edges);
  for (const auto& solver : kSolvers) {
    const Eigenpairs pairs = nonzero_eigenpairs(Laplacian(graph), first(5, 1e-6, solver));
    EXPECT_GT(pairs.iterations, 0);
    for (int j = 1; j <= 5; ++j) {
      const double expected = 2 - 2 * std::cos(M_PI * j / 600);
      EXPECT_NEAR(pairs.values[static_cast<std::size_t>(j - 1)], expected, 1e-6 * expected);
    }
  }
}

TEST(Eigenpairs, AreFoundAsOftenAsTheyOccur) {
  // Three copies of one graph: every eigenvalue three times, and two isolated nodes.
  const SparseGraph part = random_graph(150, 6, 4);
  const SparseGraph isolated{{0, 0, 0}, {}, {}};
  const SparseGraph graph = side_by_side(side_by_side(part, part), side_by_side(part, isolated));
  for (const auto kind : {LaplacianKind::kCombinatorial, LaplacianKind::kNormalized}) {
    const Laplacian laplacian(graph, kind);
    for (const auto& solver : kSolvers) {
      SCOPED_TRACE(solver);
      expect_eigenpairs(laplacian, nonzero_eigenpairs(laplacian, first(9, 1e-8, solver)), 5);
      expect_eigenpairs(laplacian, first_eigenpairs(laplacian, first(11, 1e-8, solver)), 0);
      expect_eigenpairs(laplacian, first_eigenpairs(laplacian, first(3, 1e-8, solver)), 0);
    }
  }
}

TEST(Eigenpairs, OfAConnectedGraphAreFoundAsOftenAsTheyOccur) {
  // A ring: every eigenvalue but the largest twice, 2 - 2 cos(2 pi j / n).
  testing::Edges edges;
  for (Index i = 0; i < 300; ++i)
    edges[{std::min(i, (i + 1) % 300), std::max(i, (i + 1) % 300)}] = 1;
  const SparseGraph ring = testing::graph_of(300, edges);
  for (const auto& solver : kSolvers) {
    SCOPED_TRACE(solver);
    expect_eigenpairs(Laplacian(ring), nonzero_eigenpairs(Laplacian(ring), first(8, 1e-5, solver)),
                      1);
  }
}

TEST(Eigenpairs, OfFewEdgesAmongManyNodes) {
  // 200 pairs, whose eigenvalues are twice their weights, and a single node each.
  SparseGraph pairs{{0}, {}, {}};
  for (Index i = 0; i < 200; ++i) {
    const auto weight = static_cast<float>(1 + i % 7);
    pairs = side_by_side(pairs, testing::graph_of(3, {{{0, 1}, weight}}));
  }
  for (const auto& solver : kSolvers) {
    SCOPED_TRACE(solver);
    expect_eigenpairs(Laplacian(pairs),
                      nonzero_eigenpairs(Laplacian(pairs), first(9, 1e-8, solver)), 400);
    const SparseGraph two = side_by_side(testing::graph_of(3, {{{0, 1}, 1.0F}, {{1, 2}, 1.0F}}),
                                         SparseGraph{std::vector<Index>(301), {}, {}});
    expect_eigenpairs(Laplacian(two), nonzero_eigenpairs(Laplacian(two), first(9, 1e-8, solver)),
                      301);
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

/// A torus of side x side nodes, whose eigenvalues are sums of two of 2 - 2 cos(2 pi j / side).
SparseGraph torus(Index side) {
  testing::Edges edges;
  const auto join = [&](Index i, Index j) { edges[{std::min(i, j), std::max(i, j)}] = 1.0F; };
  for (Index r = 0; r < side; ++r) {
    for (Index c = 0; c < side; ++c) {
      join(r * side + c, r * side + (c + 1) % side);
      join(r * side + c, (r + 1) % side * side + c);
    }
  }
  return testing::graph_of(side * side, edges);
}

TEST(Eigenpairs, OfALargeGraphStartFromACoarserOne) {
  // The second is large enough to be renumbered too.
  for (const Index side : {60, 260}) {
    const SparseGraph graph = torus(side);
    const double lowest = 2 - 2 * std::cos(2 * M_PI / static_cast<double>(side));
    EigenpairOptions options = first(8, 1e-4, "chebyshev");
    options.num_threads = 1;
    const Eigenpairs pairs = nonzero_eigenpairs(Laplacian(graph), options);
    EXPECT_TRUE(pairs.converged);
    for (std::size_t j = 0; j < 8; ++j) {
      EXPECT_NEAR(pairs.values[j], j < 4 ? lowest : 2 * lowest, 1e-6 * lowest) << side << " " << j;
    }
    const Matrix<double> vectors = pairs.vectors;
    Matrix<double> product;
    Laplacian(graph).apply(1.0, vectors, 0.0, 0.0, product, 1);
    for (Index j = 0; j < 8; ++j) {
      const double value = pairs.values[static_cast<std::size_t>(j)];
      EXPECT_LE((product.col(j) - value * vectors.col(j)).norm(), 1.001e-4 * value);
    }
    options.num_threads = 2;
    EXPECT_EQ(nonzero_eigenpairs(Laplacian(graph), options).vectors, vectors);
  }
}

TEST(Eigenpairs, StopAtTheFloorWhereItIsHigher) {
  const SparseGraph graph = torus(60);
  for (const auto& solver : kSolvers) {
    SCOPED_TRACE(solver);
    EigenpairOptions options = first(4, 1e-9, solver);
    options.residual_floor = 1e-5;
    const Eigenpairs pairs = nonzero_eigenpairs(Laplacian(graph), options);
    EXPECT_TRUE(pairs.converged);
    EXPECT_GT(pairs.residual, 1e-9);
    EXPECT_LE(pairs.residual * pairs.values[0], 8e-5);
    EXPECT_NEAR(pairs.values[3], 2 - 2 * std::cos(2 * M_PI / 60), 1e-5);
  }
  EigenpairOptions options = first(4);
  options.residual_floor = -1.0;
  EXPECT_THROW(nonzero_eigenpairs(Laplacian(graph), options), InvalidArgument);
}

TEST(Eigenpairs, AreTheSameBitsForEveryThreadCount) {
  const SparseGraph graph = random_graph(9000, 8, 5);
  EigenpairOptions options = first(6, 1e-2);
  for (const auto& solver : kSolvers) {
    options.solver = solver;
    options.num_threads = 1;
    const Eigenpairs one = nonzero_eigenpairs(Laplacian(graph), options);
    options.num_threads = 2;
    const Eigenpairs two = nonzero_eigenpairs(Laplacian(graph), options);
    EXPECT_GT(one.iterations, 0);
    EXPECT_EQ(one.values, two.values);
    EXPECT_EQ(one.vectors, two.vectors);
  }
}

TEST(Eigenpairs, SayWhenTheyDidNotConverge) {
  const SparseGraph graph = random_graph(400, 6, 6);
  EigenpairOptions options = first(5, 1e-12);
  options.max_iterations = 1;
  for (const auto& solver : kSolvers) {
    options.solver = solver;
    const Eigenpairs pairs = nonzero_eigenpairs(Laplacian(graph), options);
    EXPECT_FALSE(pairs.converged);
    EXPECT_EQ(pairs.values.size(), 5U);
    EXPECT_GT(pairs.residual, 1e-12);
  }
}

TEST(Eigenpairs, StopWhenTheCallbackSaysSo) {
  const SparseGraph graph = random_graph(400, 6, 6);
  for (const auto& solver : kSolvers) {
    EXPECT_THROW(nonzero_eigenpairs(Laplacian(graph), first(5, 1e-8, solver),
                                    [](const Progress& progress) { return progress.done < 1; }),
                 Interrupted);
  }
}

TEST(Eigenpairs, RefuseAnUnknownSolver) {
  testing::expect_refused(
      [] { nonzero_eigenpairs(Laplacian(random_graph(20, 4, 1)), first(2, 1e-8, "arpack")); },
      "solver: 'arpack' is not one of 'chebyshev', 'spectra'");
}

}  // namespace
}  // namespace ecseq::graph
