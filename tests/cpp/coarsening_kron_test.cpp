#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <algorithm>

#include "ecseq/compress/coarsening.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/graph/components.hpp"
#include "ecseq/graph/laplacian.hpp"
#include "expect_refused.hpp"
#include "random_graph.hpp"

namespace ecseq::compress {
namespace {

using testing::random_graph;
using testing::side_by_side;

CoarseningOptions kron(Index k) {
  CoarseningOptions options;
  options.method = "kron";
  options.n_representatives = k;
  return options;
}

Eigen::MatrixXd dense_laplacian(const graph::SparseGraph& graph) {
  return Eigen::MatrixXd(graph::Laplacian(graph).sparse());
}

/// Of some nodes, by the matrices of the definition.
struct Elimination {
  Eigen::MatrixXd complement, extension;  // of the kept nodes; [gone, kept]
};

Elimination eliminate(const Eigen::MatrixXd& laplacian, const std::vector<Index>& kept,
                      const std::vector<Index>& gone) {
  const Eigen::MatrixXd l_ba = laplacian(gone, kept);
  const Eigen::MatrixXd extension = -laplacian(gone, gone).eval().ldlt().solve(l_ba);
  return {laplacian(kept, kept) + l_ba.transpose() * extension, extension};
}

/// The nodes with a positive entry in the largest eigenvector, whose largest entry is positive.
std::vector<Index> positive_nodes(const Eigen::MatrixXd& laplacian) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(laplacian);
  Eigen::VectorXd vector = solver.eigenvectors().rightCols(1);
  Index largest = 0;
  vector.cwiseAbs().maxCoeff(&largest);
  if (vector[largest] < 0) vector = -vector;
  std::vector<Index> out;
  for (Index i = 0; i < vector.size(); ++i) {
    if (vector[i] > 0) out.push_back(i);
  }
  return out;
}

std::vector<Index> others(Index n, const std::vector<Index>& nodes) {
  std::vector<Index> out;
  for (Index i = 0; i < n; ++i) {
    if (!std::binary_search(nodes.begin(), nodes.end(), i)) out.push_back(i);
  }
  return out;
}

/// A node of far larger degree than any other, so that power iteration settles the signs.
graph::SparseGraph graph_with_hub(Index n) {
  testing::Edges edges = testing::random_edges(n, 8, 3);
  for (Index j = 1; j < n; j += 3) edges[{0, j}] = 2.0F + 0.01F * static_cast<float>(j);
  return testing::graph_of(n, edges);
}

TEST(Kron, IsTheDenseSchurComplement) {
  const graph::SparseGraph graph = graph_with_hub(60);
  const Eigen::MatrixXd laplacian = dense_laplacian(graph);
  const std::vector<Index> kept = positive_nodes(laplacian), gone = others(60, kept);
  ASSERT_FALSE(gone.empty());
  const auto levels = coarsening_levels(graph, kron(1));
  ASSERT_FALSE(levels.empty());
  validate(levels[0].graph);
  const Elimination expected = eliminate(laplacian, kept, gone);
  ASSERT_EQ(levels[0].graph.size(), static_cast<Index>(kept.size()));
  EXPECT_LT((dense_laplacian(levels[0].graph) - expected.complement).norm(),
            1e-5 * expected.complement.norm());
  for (std::size_t a = 0; a < kept.size(); ++a) {
    EXPECT_EQ(levels[0].parent[static_cast<std::size_t>(kept[a])], static_cast<Index>(a));
  }
  for (std::size_t b = 0; b < gone.size(); ++b) {
    Index heir = -1;
    expected.extension.row(static_cast<Index>(b)).maxCoeff(&heir);
    EXPECT_EQ(levels[0].parent[static_cast<std::size_t>(gone[b])], heir) << gone[b];
  }
}

Eigen::MatrixXd resistances(const Eigen::MatrixXd& laplacian) {
  const Eigen::MatrixXd inverse = laplacian.completeOrthogonalDecomposition().pseudoInverse();
  const Eigen::VectorXd diagonal = inverse.diagonal();
  return diagonal.replicate(1, inverse.cols()) + diagonal.transpose().replicate(inverse.rows(), 1) -
         2 * inverse;
}

TEST(Kron, KeepsTheResistances) {
  // To exactly K = 7: each coarse node is one of the nodes before, itself through all levels.
  const graph::SparseGraph graph = random_graph(80, 6, 5);
  const auto levels = coarsening_levels(graph, kron(7));
  ASSERT_GE(levels.size(), 2U);
  ASSERT_EQ(levels.back().graph.size(), 7);
  Eigen::MatrixXd before = resistances(dense_laplacian(graph));
  for (const auto& level : levels) {
    const Eigen::MatrixXd after = resistances(dense_laplacian(level.graph));
    // A coarse node's own row is among its members' rows.
    std::vector<Index> kept;
    for (Index a = 0; a < level.graph.size(); ++a) {
      for (Index i = 0; i < before.rows(); ++i) {
        if (level.parent[static_cast<std::size_t>(i)] != a) continue;
        Eigen::VectorXd sorted_before = before.row(i), sorted_after = after.row(a);
        std::sort(sorted_after.begin(), sorted_after.end());
        std::sort(sorted_before.begin(), sorted_before.end());
        const auto found = [&](double value) {
          return std::any_of(sorted_before.begin(), sorted_before.end(), [&](double other) {
            return std::abs(other - value) < 1e-5 * (1 + value);
          });
        };
        if (std::all_of(sorted_after.begin(), sorted_after.end(), found)) {
          kept.push_back(i);
          break;
        }
      }
    }
    ASSERT_EQ(static_cast<Index>(kept.size()), level.graph.size());
    EXPECT_LT((before(kept, kept) - after).cwiseAbs().maxCoeff(), 1e-4);
    before = after;
  }
}

TEST(Kron, LeavesANodeOfEachComponent) {
  const graph::SparseGraph part = random_graph(40, 6, 6);
  const graph::SparseGraph graph =
      side_by_side(side_by_side(part, part), graph::SparseGraph{{0, 0, 0}, {}, {}});
  const Matrix<float> x = Matrix<float>::Random(82, 3), labels = Matrix<float>::Zero(82, 1);
  const Compression few = coarsen(x, labels, graph, kron(2));
  EXPECT_EQ(few.representatives.size(), 4);
  EXPECT_EQ(few.report.note,
            "the graph has 4 connected components, and coarsening merges only what is connected");
  EXPECT_EQ(std::vector<Index>(few.assignment.begin(), few.assignment.end()),
            graph::connected_components(graph).of_node);
  const Compression more = coarsen(x, labels, graph, kron(11));
  EXPECT_EQ(more.representatives.size(), 11);
  EXPECT_EQ(more.report.note, "");
  for (Index j = 0; j < 11; ++j)
    EXPECT_GT(more.representatives.mass[static_cast<std::size_t>(j)], 0);
}

TEST(Kron, IsTheSameForEveryThreadCount) {
  const graph::SparseGraph graph = random_graph(900, 8, 7);
  CoarseningOptions options = kron(300);
  options.num_threads = 1;
  const auto one = coarsening_levels(graph, options);
  options.num_threads = 2;
  const auto two = coarsening_levels(graph, options);
  ASSERT_EQ(one.size(), two.size());
  for (std::size_t l = 0; l < one.size(); ++l) {
    EXPECT_EQ(one[l].parent, two[l].parent);
    EXPECT_EQ(one[l].graph.weights, two[l].graph.weights);
  }
}

TEST(Kron, RefusesALargeGraph) {
  testing::Edges edges;
  for (Index i = 0; i < 8'000; ++i) edges[{i, i + 1}] = 1.0F;
  testing::expect_refused(
      [&] { coarsening_levels(testing::graph_of(8'001, edges), kron(10)); },
      "method: 'kron' makes dense graphs and takes at most 8000 nodes, the graph has 8001; use "
      "'variation_edges'");
}

TEST(Kron, StopsWhenTheCallbackSaysSo) {
  int calls = 0;
  EXPECT_THROW(coarsening_levels(random_graph(100, 6, 8), kron(10),
                                 [&](const Progress& progress) {
                                   return ++calls < 300 && !progress.stage.starts_with("kron");
                                 }),
               Interrupted);
}

}  // namespace
}  // namespace ecseq::compress
