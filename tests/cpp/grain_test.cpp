#include "ecseq/compress/grain.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "ecseq/core/rng.hpp"
#include "ecseq/graph/knn_graph.hpp"
#include "expect_refused.hpp"

namespace ecseq::compress {
namespace {

using ecseq::testing::expect_refused;

Matrix<float> random_rows(Index n, Index d, std::uint64_t seed) {
  Rng rng(seed);
  Matrix<float> x(n, d);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.normal());
  return x;
}

Matrix<float> one_label(Index n) { return Matrix<float>::Ones(n, 1); }

graph::SparseGraph near_graph(const Matrix<float>& x, Index k) {
  return graph::knn_graph(x, k).graph;
}

GrainOptions with_k(Index k, double radius = 0.05) {
  GrainOptions options;
  options.n_representatives = k;
  options.radius = radius;
  return options;
}

/// cover[v] = the nodes that v covers, from dense matrices.
std::vector<std::set<Index>> dense_covers(const Matrix<float>& x, const graph::SparseGraph& graph,
                                          double radius) {
  const Index n = x.rows();
  Eigen::MatrixXd a = Eigen::MatrixXd::Identity(n, n);
  for (Index i = 0; i < n; ++i) {
    const auto neighbors = graph.neighbors_of(i);
    for (std::size_t e = 0; e < neighbors.size(); ++e) a(i, neighbors[e]) = graph.weights_of(i)[e];
  }
  const Eigen::VectorXd root = a.rowwise().sum().cwiseSqrt().cwiseInverse();
  const Eigen::MatrixXd normalized = root.asDiagonal() * a * root.asDiagonal();
  const Eigen::MatrixXd two_hops = normalized * normalized;
  const Eigen::MatrixXd smooth = two_hops * x.cast<double>();
  std::vector<std::set<Index>> covers(static_cast<std::size_t>(n));
  for (Index v = 0; v < n; ++v) {
    for (Index u = 0; u < n; ++u) {
      if (!(two_hops(v, u) > 0.0)) continue;
      for (Index w = 0; w < n; ++w) {
        if ((smooth.row(u) - smooth.row(w)).norm() <= radius) {
          covers[static_cast<std::size_t>(v)].insert(w);
        }
      }
    }
  }
  return covers;
}

TEST(Grain, ChoosesWhatBruteForceGreedyChooses) {
  for (const double radius : {0.0, 0.05, 0.15}) {
    for (const Index neighbors : {1, 3}) {
      const Matrix<float> x = random_rows(250, 3, 1);
      const graph::SparseGraph graph = near_graph(x, neighbors);
      const GrainResult result = grain(x, one_label(250), graph, with_k(60, radius));
      const auto covers = dense_covers(x, graph, radius * result.distance_scale);
      std::set<Index> covered;
      std::vector<Index> chosen;
      std::vector<double> gains;
      while (chosen.size() < 60) {
        Index best = -1, most = 0;
        for (Index v = 0; v < 250; ++v) {
          Index gain = 0;
          for (const Index w : covers[static_cast<std::size_t>(v)]) {
            gain += static_cast<Index>(covered.count(w) == 0);
          }
          if (gain > most) {
            most = gain;
            best = v;
          }
        }
        if (best < 0) break;
        chosen.push_back(best);
        gains.push_back(static_cast<double>(most));
        const auto& cover = covers[static_cast<std::size_t>(best)];
        covered.insert(cover.begin(), cover.end());
      }
      ASSERT_GT(chosen.size(), 3U);
      EXPECT_EQ(result.chosen, chosen);
      EXPECT_EQ(result.gains, gains);
    }
  }
}

TEST(Grain, GivesEveryRowToTheNearestChosenRow) {
  const Matrix<float> x = random_rows(300, 4, 2);
  const GrainResult result = grain(x, one_label(300), near_graph(x, 2), with_k(20));
  const Representatives& found = result.compression.representatives;
  ASSERT_EQ(found.size(), 20);
  EXPECT_EQ(std::accumulate(found.mass.begin(), found.mass.end(), 0.0), 300.0);
  EXPECT_EQ(found.label_sums.sum(), 300.0);
  for (Index j = 0; j < 20; ++j) {
    EXPECT_EQ(found.vectors.row(j), x.row(result.chosen[static_cast<std::size_t>(j)]));
    EXPECT_EQ(found.medoid(j), result.chosen[static_cast<std::size_t>(j)]);
  }
  for (Index i = 0; i < 300; ++i) {
    const Eigen::VectorXf distance = (found.vectors.rowwise() - x.row(i)).rowwise().norm();
    EXPECT_NEAR(distance[result.compression.assignment[static_cast<std::size_t>(i)]],
                distance.minCoeff(), 1e-5);
  }
}

TEST(Grain, StopsWhereAllIsCovered) {
  const Matrix<float> x = random_rows(100, 2, 3);
  const GrainResult all = grain(x, one_label(100), near_graph(x, 3), with_k(100, 1.0));
  EXPECT_EQ(std::accumulate(all.gains.begin(), all.gains.end(), 0.0), 100.0);
  EXPECT_LT(all.compression.representatives.size(), 10);
  EXPECT_EQ(all.compression.report.requested, 100);
  EXPECT_EQ(grain(x, one_label(100), near_graph(x, 3), with_k(1)).chosen.size(), 1U);
  // Alone and with no ball but itself, each node covers itself.
  graph::SparseGraph alone;
  alone.offsets.assign(101, 0);
  const GrainResult each = grain(x, one_label(100), alone, with_k(100, 0.0));
  std::vector<Index> every(100);
  std::iota(every.begin(), every.end(), Index{0});
  EXPECT_EQ(each.chosen, every);
}

TEST(Grain, PassesOverDuplicatesOfChosenRows) {
  Matrix<float> x(40, 2);
  for (Index i = 0; i < 40; ++i) x.row(i).setConstant(static_cast<float>(i % 4));
  // Each value twice over with neighbours of its own, so that the smooth features differ.
  graph::SparseGraph path;
  path.offsets = {0};
  for (Index i = 0; i < 40; ++i) {
    if (i > 0) path.neighbors.push_back(static_cast<std::int32_t>(i - 1));
    if (i < 39) path.neighbors.push_back(static_cast<std::int32_t>(i + 1));
    path.offsets.push_back(static_cast<Index>(path.neighbors.size()));
  }
  path.weights.assign(path.neighbors.size(), 1.0F);
  const GrainResult result = grain(x, one_label(40), path, with_k(4, 0.0));
  std::set<float> values;
  for (Index j = 0; j < result.compression.representatives.size(); ++j) {
    EXPECT_TRUE(values.insert(result.compression.representatives.vectors(j, 0)).second);
  }
  EXPECT_EQ(result.compression.report.objective == 0.0, values.size() == 4);
}

TEST(Grain, IsTheSameForEveryThreadCount) {
  const Matrix<float> x = random_rows(4000, 5, 4);
  const graph::SparseGraph graph = near_graph(x, 4);
  GrainOptions options = with_k(50);
  options.num_threads = 1;
  const GrainResult one = grain(x, one_label(4000), graph, options);
  options.num_threads = 2;
  const GrainResult two = grain(x, one_label(4000), graph, options);
  EXPECT_EQ(one.chosen, two.chosen);
  EXPECT_EQ(one.gains, two.gains);
  EXPECT_EQ(one.compression.assignment, two.compression.assignment);
  EXPECT_TRUE(std::is_sorted(one.gains.rbegin(), one.gains.rend()));
}

TEST(Grain, RefusesAndStops) {
  const Matrix<float> x = random_rows(60, 2, 5);
  const graph::SparseGraph graph = near_graph(x, 3);
  expect_refused([&] { grain(x, one_label(60), graph, with_k(5, 1.5)); },
                 "radius: expected a share in [0, 1], got 1.500000");
  expect_refused([&] { grain(x, one_label(60), graph, with_k(61)); },
                 "n_representatives: 61 asked for, but X has only 60 distinct rows");
  GrainOptions options = with_k(5);
  options.diversity = "furthest";
  EXPECT_THROW(grain(x, one_label(60), graph, options), InvalidArgument);
  options = with_k(5);
  options.max_bytes = 0;
  EXPECT_THROW(grain(x, one_label(60), graph, options), InvalidArgument);
  for (int allowed = 0; allowed < 5; ++allowed) {
    int calls = 0;
    EXPECT_THROW(grain(x, one_label(60), graph, with_k(5, 0.0),
                       [&](const Progress&) { return ++calls <= allowed; }),
                 Interrupted);
    EXPECT_EQ(calls, allowed + 1);
  }
}

}  // namespace
}  // namespace ecseq::compress
