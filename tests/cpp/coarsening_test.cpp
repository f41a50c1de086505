#include "ecseq/compress/coarsening.hpp"

#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ecseq/core/error.hpp"
#include "ecseq/graph/components.hpp"
#include "ecseq/graph/laplacian.hpp"
#include "expect_refused.hpp"
#include "gaussian_matrix.hpp"
#include "random_graph.hpp"

namespace ecseq::compress {
namespace {

using testing::gaussian;
using testing::random_graph;
using testing::side_by_side;

const std::vector<std::string> kMethods{"variation_neighborhoods",
                                        "variation_edges",
                                        "variation_cliques",
                                        "heavy_edge",
                                        "algebraic_jc",
                                        "affinity_gs"};

CoarseningOptions with(const std::string& method, Index k, int threads = 2) {
  CoarseningOptions options;
  options.method = method;
  options.n_representatives = k;
  options.num_threads = threads;
  return options;
}

Eigen::MatrixXd dense_laplacian(const graph::SparseGraph& graph) {
  return Eigen::MatrixXd(graph::Laplacian(graph).sparse());
}

/// C, [nodes before, nodes after]: 1 where a node went.
Eigen::MatrixXd indicator(const CoarseningLevel& level) {
  Eigen::MatrixXd out =
      Eigen::MatrixXd::Zero(static_cast<Index>(level.parent.size()), level.graph.size());
  for (std::size_t i = 0; i < level.parent.size(); ++i) {
    out(static_cast<Index>(i), level.parent[i]) = 1.0;
  }
  return out;
}

/// Where each of the first nodes ended.
std::vector<Index> partition(Index nodes, const std::vector<CoarseningLevel>& levels) {
  std::vector<Index> out(static_cast<std::size_t>(nodes));
  std::iota(out.begin(), out.end(), Index{0});
  for (const auto& level : levels) {
    for (auto& node : out) node = level.parent[static_cast<std::size_t>(node)];
  }
  return out;
}

TEST(CoarseningLevels, AreContractionsOfConnectedSets) {
  const graph::SparseGraph graph = random_graph(200, 8, 1);
  for (const auto& method : kMethods) {
    SCOPED_TRACE(method);
    const auto levels = coarsening_levels(graph, with(method, 30));
    ASSERT_GE(levels.size(), 2U);
    const graph::SparseGraph* before = &graph;
    for (const auto& level : levels) {
      validate(level.graph);
      EXPECT_LT(level.graph.size(), before->size());
      const Eigen::MatrixXd c = indicator(level);
      EXPECT_TRUE(dense_laplacian(level.graph)
                      .isApprox(c.transpose() * dense_laplacian(*before) * c, 1e-5));
      // Within a set every node is reached: no more components than sets.
      testing::Edges inner;
      for (Index i = 0; i < before->size(); ++i) {
        for (const auto j : before->neighbors_of(i)) {
          if (i < j && level.parent[static_cast<std::size_t>(i)] ==
                           level.parent[static_cast<std::size_t>(j)]) {
            inner[{i, j}] = 1.0F;
          }
        }
      }
      EXPECT_EQ(graph::connected_components(testing::graph_of(before->size(), inner)).size(),
                level.graph.size());
      before = &level.graph;
    }
    EXPECT_EQ(before->size(), 30);
  }
}

TEST(CoarseningLevels, ContractPairsOrLargerSetsByMethod) {
  const graph::SparseGraph graph = random_graph(200, 8, 2);
  for (const auto& method : kMethods) {
    SCOPED_TRACE(method);
    const auto levels = coarsening_levels(graph, with(method, 60));
    Index largest = 0;
    for (Index j = 0; j < levels[0].graph.size(); ++j) {
      largest =
          std::max<Index>(largest, std::count(levels[0].parent.begin(), levels[0].parent.end(), j));
    }
    if (method == "variation_neighborhoods" || method == "variation_cliques") {
      EXPECT_GT(largest, 2);
    } else {
      EXPECT_EQ(largest, 2);
    }
  }
}

TEST(CoarseningLevels, TakeTheCheapestDisjointEdgesFirst) {
  // A path with heavy, light, heavy edges: the two heavy ones are disjoint. (2 - 1 has the
  // weight over the larger degree 3/4, 5 - 4 has 5/6, 3 - 2 has 1/4 and 4 - 3 has 1/6.)
  const graph::SparseGraph graph = testing::graph_of(
      6, {{{0, 1}, 0.5F}, {{1, 2}, 3.0F}, {{2, 3}, 1.0F}, {{3, 4}, 1.0F}, {{4, 5}, 5.0F}});
  const auto one = coarsening_levels(graph, with("heavy_edge", 5));
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].parent, (std::vector<Index>{0, 1, 2, 3, 4, 4}));
  const auto two = coarsening_levels(graph, with("heavy_edge", 4));
  EXPECT_EQ(two[0].parent, (std::vector<Index>{0, 1, 1, 2, 3, 3}));
}

TEST(CoarseningLevels, MergeWhatTheSpectrumHoldsTogether) {
  // Four complete groups of 16, weakly tied in a ring: every level can pair up whole groups, so
  // K = 4 must find them.
  Rng rng(3);
  testing::Edges edges;
  for (Index i = 0; i < 64; ++i) {
    for (Index j = i + 1; j < 64; ++j) {
      if (i / 16 == j / 16) edges[{i, j}] = static_cast<float>(rng.uniform(0.5, 1.0));
    }
  }
  for (Index g = 0; g < 4; ++g) {
    const Index i = 16 * g, j = (16 * g + 24) % 64;
    edges[{std::min(i, j), std::max(i, j)}] = 0.05F;
  }
  const graph::SparseGraph graph = testing::graph_of(64, edges);
  for (const std::string method :
       {"variation_neighborhoods", "variation_edges", "variation_cliques"}) {
    CoarseningOptions options = with(method, 4);
    options.n_eigenpairs = 4;
    const auto parts = partition(64, coarsening_levels(graph, options));
    for (Index i = 0; i < 64; ++i) {
      EXPECT_EQ(parts[static_cast<std::size_t>(i)], i / 16) << method << " " << i;
    }
  }
}

/// max over x in the span of the first k eigenvectors of ||x - P^+ P x||_L / ||x||_L.
double restricted_error(const graph::SparseGraph& graph, Index k,
                        const std::vector<CoarseningLevel>& levels) {
  const Eigen::MatrixXd laplacian = dense_laplacian(graph);
  Eigen::MatrixXd reduce = Eigen::MatrixXd::Identity(graph.size(), graph.size());  // P
  Eigen::MatrixXd lift = reduce;                                                   // P^+
  for (const auto& level : levels) {
    const Eigen::MatrixXd c = indicator(level);
    const Eigen::VectorXd sizes = c.colwise().sum();
    reduce = (sizes.cwiseInverse().asDiagonal() * c.transpose() * reduce).eval();
    lift = (lift * c).eval();
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(laplacian);
  const Eigen::MatrixXd unit =
      solver.eigenvectors().middleCols(1, k - 1) *
      solver.eigenvalues().segment(1, k - 1).cwiseSqrt().cwiseInverse().asDiagonal();
  const Eigen::MatrixXd lost = unit - lift * (reduce * unit);
  const Eigen::MatrixXd energy = lost.transpose() * laplacian * lost;
  return std::sqrt(Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(energy).eigenvalues().maxCoeff());
}

TEST(CoarseningLevels, KeepTheSpectralErrorWithinLoukasBound) {
  for (const std::uint64_t seed : {4, 5, 6}) {
    const graph::SparseGraph graph = random_graph(150, 6, seed);
    for (const std::string method :
         {"variation_neighborhoods", "variation_edges", "variation_cliques"}) {
      for (const Index target : {120, 75, 40}) {
        CoarseningOptions options = with(method, target);
        options.n_eigenpairs = 5;
        const auto levels = coarsening_levels(graph, options);
        double bound = 1.0;
        for (const auto& level : levels) bound *= 1 + level.sigma;
        const double error = restricted_error(graph, 5, levels);
        EXPECT_LE(error, bound - 1 + 1e-9) << method << " " << target;
        EXPECT_GT(error, 0.0);
      }
    }
  }
}

TEST(CoarseningLevels, GetDoneAroundAHub) {
  // A hub with 200 neighbours, some of which have one more: a matching finds few disjoint edges.
  Rng rng(3);
  testing::Edges edges;
  for (Index i = 1; i <= 200; ++i) edges[{0, i}] = static_cast<float>(rng.uniform(0.1, 1.0));
  for (Index i = 1; i <= 20; ++i) edges[{i, 200 + i}] = static_cast<float>(rng.uniform(0.1, 1.0));
  const graph::SparseGraph graph = testing::graph_of(221, edges);
  for (const std::string method : {"variation_neighborhoods", "variation_edges", "heavy_edge"}) {
    CoarseningOptions options = with(method, 12);
    options.n_eigenpairs = 5;
    const auto levels = coarsening_levels(graph, options);
    EXPECT_EQ(levels.back().graph.size(), 12) << method;
    EXPECT_LT(levels.size(), 60U) << method;
    if (method == "heavy_edge") continue;
    double bound = 1.0;
    for (const auto& level : levels) bound *= 1 + level.sigma;
    EXPECT_LE(restricted_error(graph, 5, levels), bound - 1 + 1e-9) << method;
  }
}

TEST(CoarseningLevels, LoseNoMoreByTheLooseEigenpairs) {
  // A ring of 1200 nodes with chords to the fourth neighbour, weights at random, and a hub: small
  // eigenvalues beside a large one, so that the floor is what stops the eigensolver.
  Rng rng(31);
  testing::Edges edges;
  for (Index i = 0; i < 1200; ++i) {
    for (Index step = 1; step <= 4; ++step) {
      const Index j = (i + step) % 1200;
      edges[{std::min(i, j), std::max(i, j)}] = static_cast<float>(rng.uniform(0.5, 1.0));
    }
  }
  for (Index i = 0; i < 100; ++i) edges[{12 * i, 1200}] = 1.0F;
  const graph::SparseGraph graph = testing::graph_of(1201, edges);
  CoarseningOptions strict = with("variation_edges", 600);
  strict.eigen_floor = 0.0;
  strict.eigen_tolerance = 1e-8;
  const double exact = restricted_error(graph, 10, coarsening_levels(graph, strict));
  const auto levels = coarsening_levels(graph, with("variation_edges", 600));
  double bound = 1.0;
  for (const auto& level : levels) bound *= 1 + level.sigma;
  const double loose = restricted_error(graph, 10, levels);
  EXPECT_LE(loose, bound - 1);
  EXPECT_LT(loose, 1.02 * exact);
  EXPECT_GT(loose, 0.0);
}

TEST(CoarseningLevels, ByVariationLoseLessThanByChance) {
  const graph::SparseGraph graph = random_graph(240, 6, 7);
  CoarseningOptions options = with("variation_edges", 180);
  options.n_eigenpairs = 4;
  const double error = restricted_error(graph, 4, coarsening_levels(graph, options));
  // The same number of edges, in the order of random weights.
  testing::Edges shuffled = testing::random_edges(240, 6, 7);
  Rng rng(8);
  for (auto& [ends, weight] : shuffled) weight = static_cast<float>(rng.uniform(0.1, 1.0));
  const auto chance = coarsening_levels(testing::graph_of(240, shuffled), with("heavy_edge", 180));
  EXPECT_LT(error, 0.7 * restricted_error(graph, 4, chance));
}

TEST(CoarseningLevels, DoNotDependOnTheNumberingOfTheNodes) {
  // At this size the eigenvectors are exact; the relaxed vectors of the other methods are random.
  const testing::Edges edges = testing::random_edges(120, 8, 9);
  const std::vector<Index> order = Rng(10).permutation(120);
  testing::Edges renumbered;
  for (const auto& [ends, weight] : edges) {
    const Index i = order[static_cast<std::size_t>(ends.first)];
    const Index j = order[static_cast<std::size_t>(ends.second)];
    renumbered[{std::min(i, j), std::max(i, j)}] = weight;
  }
  for (const std::string method :
       {"variation_neighborhoods", "variation_edges", "variation_cliques", "heavy_edge"}) {
    const auto one =
        partition(120, coarsening_levels(testing::graph_of(120, edges), with(method, 40)));
    const auto two =
        partition(120, coarsening_levels(testing::graph_of(120, renumbered), with(method, 40)));
    for (std::size_t i = 0; i < 120; ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        EXPECT_EQ(one[i] == one[j], two[static_cast<std::size_t>(order[i])] ==
                                        two[static_cast<std::size_t>(order[j])])
            << method;
      }
    }
  }
}

TEST(CoarseningLevels, AreTheSameForEveryThreadCount) {
  const graph::SparseGraph graph = random_graph(6000, 8, 11);
  for (const auto& method : kMethods) {
    const auto one = coarsening_levels(graph, with(method, 1500, 1));
    const auto two = coarsening_levels(graph, with(method, 1500, 2));
    ASSERT_EQ(one.size(), two.size()) << method;
    for (std::size_t l = 0; l < one.size(); ++l) {
      EXPECT_EQ(one[l].parent, two[l].parent) << method;
      EXPECT_EQ(one[l].graph.weights, two[l].graph.weights) << method;
      EXPECT_EQ(one[l].sigma, two[l].sigma) << method;
    }
  }
}

TEST(CoarseningLevels, ContractTheMaximalCliques) {
  // A triangle, a tie, and a complete graph of four: each clique merges as a whole.
  testing::Edges edges{{{0, 1}, 1.0F}, {{0, 2}, 1.1F}, {{1, 2}, 1.2F}, {{2, 3}, 0.1F}};
  for (Index i = 3; i < 7; ++i) {
    for (Index j = i + 1; j < 7; ++j) edges[{i, j}] = 1.0F + 0.1F * static_cast<float>(i + j);
  }
  const graph::SparseGraph graph = testing::graph_of(7, edges);
  CoarseningOptions options = with("variation_cliques", 2);
  options.n_eigenpairs = 2;
  const auto levels = coarsening_levels(graph, options);
  ASSERT_EQ(levels.size(), 1U);
  EXPECT_EQ(levels[0].parent, (std::vector<Index>{0, 0, 0, 1, 1, 1, 1}));
}

TEST(CoarseningLevels, ContractNothingButCliques) {
  const graph::SparseGraph graph = random_graph(150, 20, 26);
  const auto levels = coarsening_levels(graph, with("variation_cliques", 50));
  const auto& parent = levels[0].parent;
  const Eigen::MatrixXd laplacian = dense_laplacian(graph);
  for (Index i = 0; i < 150; ++i) {
    for (Index j = 0; j < i; ++j) {
      if (parent[static_cast<std::size_t>(i)] == parent[static_cast<std::size_t>(j)]) {
        EXPECT_LT(laplacian(i, j), 0.0) << i << " " << j;
      }
    }
  }
}

TEST(CoarseningLevels, RefuseMoreCliquesThanCanBeHeld) {
  // 39 nodes in 13 groups of three, joined unless of one group: 3^13 maximal cliques.
  testing::Edges edges;
  for (Index i = 0; i < 39; ++i) {
    for (Index j = i + 1; j < 39; ++j) {
      if (i / 3 != j / 3) edges[{i, j}] = 1.0F;
    }
  }
  testing::expect_refused(
      [&] { coarsening_levels(testing::graph_of(39, edges), with("variation_cliques", 5)); },
      "method: the graph has more than 1000000 maximal cliques; use 'variation_neighborhoods'");
}

TEST(CoarseningLevels, ReachTheTargetInACompleteGraph) {
  // Every neighbourhood is the whole graph: too large for K = 5.
  testing::Edges edges;
  Rng rng(12);
  for (Index i = 0; i < 12; ++i) {
    for (Index j = i + 1; j < 12; ++j) edges[{i, j}] = static_cast<float>(rng.uniform(0.5, 1.0));
  }
  for (const auto& method : kMethods) {
    const auto levels = coarsening_levels(testing::graph_of(12, edges), with(method, 5));
    ASSERT_FALSE(levels.empty());
    EXPECT_EQ(levels.back().graph.size(), 5) << method;
  }
}

TEST(CoarseningLevels, RefuseWhatTheyCannotDo) {
  const graph::SparseGraph graph = random_graph(20, 4, 13);
  testing::expect_refused([&] { coarsening_levels(graph, with("louvain", 5)); },
                          "method: 'louvain' is not one of 'variation_neighborhoods', "
                          "'variation_edges', 'variation_cliques', 'heavy_edge', 'algebraic_jc', "
                          "'affinity_gs', 'kron'");
  testing::expect_refused([&] { coarsening_levels(graph, with("heavy_edge", 21)); },
                          "n_representatives: 21 asked for, but the graph has only 20 nodes");
  EXPECT_THROW(coarsening_levels(graph, with("heavy_edge", 0)), InvalidArgument);
  graph::SparseGraph broken = graph;
  broken.weights[0] = -1.0F;
  EXPECT_THROW(coarsening_levels(broken, with("heavy_edge", 5)), InvalidArgument);
}

TEST(Coarsen, DescribesEveryRow) {
  const graph::SparseGraph graph = random_graph(300, 8, 14);
  const Matrix<float> x = gaussian(300, 4, 15), labels = gaussian(300, 2, 16);
  for (const auto& method : kMethods) {
    SCOPED_TRACE(method);
    const Compression result = coarsen(x, labels, graph, with(method, 40));
    const auto& reps = result.representatives;
    ASSERT_EQ(reps.size(), 40);
    EXPECT_EQ(result.report.requested, 40);
    EXPECT_EQ(result.report.note, "");
    EXPECT_EQ(std::accumulate(reps.mass.begin(), reps.mass.end(), 0.0), 300.0);
    EXPECT_GT(*std::min_element(reps.mass.begin(), reps.mass.end()), 0.0);
    EXPECT_NEAR(reps.label_sums.sum(), static_cast<double>(labels.sum()), 1e-3);
    double objective = 0.0;
    for (Index i = 0; i < 300; ++i) {
      const Index j = result.assignment[static_cast<std::size_t>(i)];
      objective += static_cast<double>((x.row(i) - reps.vectors.row(j)).squaredNorm());
    }
    EXPECT_NEAR(result.report.objective, objective, 1e-3 * objective);
  }
}

TEST(Coarsen, AveragesWithinASetAtEachLevel) {
  // 0 - 1 merge first, 2 joins them in the second level: (x_0 + x_1) / 2 weighs as much as x_2.
  const graph::SparseGraph graph = testing::graph_of(3, {{{0, 1}, 5.0F}, {{1, 2}, 1.0F}});
  Matrix<float> x(3, 1);
  x << 1.0F, 3.0F, 10.0F;
  const Compression result = coarsen(x, gaussian(3, 1, 1), graph, with("heavy_edge", 1));
  EXPECT_EQ(result.report.iterations, 2);
  EXPECT_FLOAT_EQ(result.representatives.vectors(0, 0), 6.0F);
  EXPECT_EQ(result.representatives.mass[0], 3.0);
}

TEST(Coarsen, ToOneAndToAll) {
  const graph::SparseGraph graph = random_graph(60, 6, 17);
  const Matrix<float> x = gaussian(60, 3, 18), labels = Matrix<float>::Zero(60, 1);
  for (const auto& method : kMethods) {
    const Compression one = coarsen(x, labels, graph, with(method, 1));
    EXPECT_EQ(one.representatives.size(), 1) << method;
    EXPECT_EQ(one.representatives.mass[0], 60.0) << method;
    const Compression all = coarsen(x, labels, graph, with(method, 60));
    EXPECT_EQ(all.report.iterations, 0) << method;
    EXPECT_EQ(all.representatives.vectors, x) << method;
  }
}

TEST(Coarsen, StopsAtTheComponentsAndSaysSo) {
  const graph::SparseGraph part = random_graph(50, 6, 19);
  const graph::SparseGraph graph =
      side_by_side(side_by_side(part, part), graph::SparseGraph{{0, 0, 0}, {}, {}});
  const Matrix<float> x = gaussian(102, 3, 20), labels = Matrix<float>::Zero(102, 1);
  const auto components = graph::connected_components(graph).of_node;
  for (const auto& method : kMethods) {
    SCOPED_TRACE(method);
    const Compression result = coarsen(x, labels, graph, with(method, 2));
    EXPECT_EQ(result.representatives.size(), 4);
    EXPECT_EQ(result.report.note,
              "the graph has 4 connected components, and coarsening merges only what is connected");
    EXPECT_EQ(std::vector<Index>(result.assignment.begin(), result.assignment.end()), components);
    EXPECT_EQ(coarsen(x, labels, graph, with(method, 20)).report.note, "");
  }
}

TEST(Coarsen, SaysThatTheLevelsRanOut) {
  const graph::SparseGraph graph = random_graph(64, 6, 21);
  const Matrix<float> x = gaussian(64, 3, 22), labels = Matrix<float>::Zero(64, 1);
  CoarseningOptions options = with("heavy_edge", 4);
  options.max_levels = 1;
  const Compression result = coarsen(x, labels, graph, options);
  EXPECT_GE(result.representatives.size(), 32);
  EXPECT_EQ(result.report.note, "max_levels = 1 was reached at " +
                                    std::to_string(result.representatives.size()) + " nodes");
}

TEST(Coarsen, NeverReturnsTwoEqualVectors) {
  const graph::SparseGraph graph = random_graph(90, 6, 23);
  Matrix<float> x(90, 2);
  for (Index i = 0; i < 90; ++i) x.row(i).setConstant(static_cast<float>(i % 3));
  const Compression result = coarsen(x, gaussian(90, 1, 1), graph, with("heavy_edge", 90));
  ASSERT_EQ(result.representatives.size(), 3);
  for (Index i = 0; i < 90; ++i) {
    EXPECT_EQ(result.representatives.vectors.row(result.assignment[static_cast<std::size_t>(i)]),
              x.row(i));
  }
  EXPECT_EQ(result.report.note,
            "87 of 90 coarse nodes had the vector of another and were merged with it");
}

TEST(Coarsen, StopsWhenTheCallbackSaysSo) {
  const graph::SparseGraph graph = random_graph(300, 6, 24);
  const Matrix<float> x = gaussian(300, 3, 25), labels = Matrix<float>::Zero(300, 1);
  for (const auto& method : kMethods) {
    int calls = 0;
    EXPECT_THROW(
        coarsen(x, labels, graph, with(method, 10), [&](const Progress&) { return ++calls < 2; }),
        Interrupted);
    EXPECT_EQ(calls, 2) << method;
  }
}

TEST(Coarsen, RefusesAGraphOfOtherRows) {
  testing::expect_refused(
      [] {
        coarsen(gaussian(5, 2, 1), gaussian(5, 1, 1), random_graph(6, 4, 1), with("heavy_edge", 2));
      },
      "graph: has 6 nodes for 5 rows of X and 5 of labels");
}

}  // namespace
}  // namespace ecseq::compress
