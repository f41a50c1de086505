#include "ecseq/compress/grain.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "ecseq/graph/knn_graph.hpp"
#include "expect_refused.hpp"
#include "gaussian_matrix.hpp"

namespace ecseq::compress {
namespace {

using ecseq::testing::expect_refused;
using ecseq::testing::gaussian;

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

/// A_hat^2 and A_hat^2 X from dense matrices.
struct Dense {
  Eigen::MatrixXd two_hops, smooth;

  Dense(const Matrix<float>& x, const graph::SparseGraph& graph) {
    const Index n = x.rows();
    Eigen::MatrixXd a = Eigen::MatrixXd::Identity(n, n);
    for (Index i = 0; i < n; ++i) {
      const auto neighbors = graph.neighbors_of(i);
      for (std::size_t e = 0; e < neighbors.size(); ++e) {
        a(i, neighbors[e]) = graph.weights_of(i)[e];
      }
    }
    const Eigen::VectorXd root = a.rowwise().sum().cwiseSqrt().cwiseInverse();
    const Eigen::MatrixXd normalized = root.asDiagonal() * a * root.asDiagonal();
    two_hops = normalized * normalized;
    smooth = two_hops * x.cast<double>();
  }
  Index size() const { return two_hops.rows(); }
  std::vector<Index> influenced_by(Index v) const {
    std::vector<Index> nodes;
    for (Index u = 0; u < size(); ++u) {
      if (two_hops(v, u) > 0.0) nodes.push_back(u);
    }
    return nodes;
  }
  double distance(Index u, Index w) const { return (smooth.row(u) - smooth.row(w)).norm(); }
};

struct Picks {
  std::vector<Index> chosen;
  std::vector<double> gains;
};

/// Chooses the highest gain(v), the lower v on ties, among all v each time.
template <class Gain, class Choose>
Picks brute_force(Index n, std::size_t k, const Gain& gain, const Choose& choose) {
  Picks picks;
  while (picks.chosen.size() < k) {
    Index best = -1;
    double most = 0.0;
    for (Index v = 0; v < n; ++v) {
      const double own = gain(v);
      if (own > most) {
        most = own;
        best = v;
      }
    }
    if (best < 0) break;
    choose(best);
    picks.chosen.push_back(best);
    picks.gains.push_back(most);
  }
  return picks;
}

TEST(Grain, ChoosesWhatBruteForceGreedyChooses) {
  for (const double radius : {0.0, 0.05, 0.15}) {
    for (const Index neighbors : {1, 3}) {
      const Matrix<float> x = gaussian(250, 3, 1);
      const graph::SparseGraph graph = near_graph(x, neighbors);
      const GrainResult result = grain(x, one_label(250), graph, with_k(60, radius));
      EXPECT_EQ(result.n_witnesses, 250);
      const Dense dense(x, graph);
      std::vector<std::set<Index>> covers(250);
      for (Index v = 0; v < 250; ++v) {
        for (const Index u : dense.influenced_by(v)) {
          for (Index w = 0; w < 250; ++w) {
            if (dense.distance(u, w) <= radius * result.distance_scale) {
              covers[static_cast<std::size_t>(v)].insert(w);
            }
          }
        }
      }
      std::set<Index> covered;
      const Picks picks = brute_force(
          250, 60,
          [&](Index v) {
            const auto& cover = covers[static_cast<std::size_t>(v)];
            return static_cast<double>(std::count_if(
                cover.begin(), cover.end(), [&](Index w) { return covered.count(w) == 0; }));
          },
          [&](Index v) {
            const auto& cover = covers[static_cast<std::size_t>(v)];
            covered.insert(cover.begin(), cover.end());
          });
      ASSERT_GT(picks.chosen.size(), 3U);
      EXPECT_EQ(result.chosen, picks.chosen);
      EXPECT_EQ(result.gains, picks.gains);
    }
  }
}

TEST(Grain, WithNearestDistancesChoosesWhatBruteForceGreedyChooses) {
  for (const Index neighbors : {1, 4}) {
    const Matrix<float> x = gaussian(220, 3, 6);
    const graph::SparseGraph graph = near_graph(x, neighbors);
    GrainOptions options = with_k(30);
    options.diversity = "nearest";
    options.scale_quantile = 0.8;  // so that some distances are cut off
    const GrainResult result = grain(x, one_label(220), graph, options);
    EXPECT_EQ(result.n_witnesses, 220);
    const Dense dense(x, graph);
    // nearest(v, w): from w to what v influences.
    Eigen::MatrixXd nearest = Eigen::MatrixXd::Ones(220, 220);
    for (Index v = 0; v < 220; ++v) {
      for (const Index u : dense.influenced_by(v)) {
        for (Index w = 0; w < 220; ++w) {
          nearest(v, w) = std::min(nearest(v, w), dense.distance(u, w) / result.distance_scale);
        }
      }
    }
    Eigen::RowVectorXd so_far = Eigen::RowVectorXd::Ones(220);
    std::set<Index> influenced;
    const Picks picks = brute_force(
        220, 30,
        [&](Index v) {
          const std::vector<Index> own = dense.influenced_by(v);
          const auto fresh = std::count_if(own.begin(), own.end(),
                                           [&](Index u) { return influenced.count(u) == 0; });
          const double nearer = (so_far - nearest.row(v)).cwiseMax(0.0).sum();
          return (static_cast<double>(fresh) + nearer) / 220.0;
        },
        [&](Index v) {
          const std::vector<Index> own = dense.influenced_by(v);
          influenced.insert(own.begin(), own.end());
          so_far = so_far.cwiseMin(nearest.row(v)).eval();
        });
    EXPECT_EQ(result.chosen, picks.chosen);
    ASSERT_EQ(result.gains.size(), picks.gains.size());
    for (std::size_t j = 0; j < picks.gains.size(); ++j) {
      EXPECT_NEAR(result.gains[j], picks.gains[j], 1e-6);
    }
  }
}

/// Clusters of unequal size and spread.
Matrix<float> clusters(Index n, std::uint64_t seed) {
  Matrix<float> x = 0.15F * gaussian(n, 3, seed);
  const Matrix<float> centre = 3.0F * gaussian(30, 3, seed + 1);
  for (Index i = 0; i < n; ++i) x.row(i) += centre.row(i % 30 * (i % 30) / 30);
  return x;
}

TEST(Grain, OnWitnessesComesNearTheExactChoice) {
  const Matrix<float> x = clusters(6000, 7);
  const graph::SparseGraph graph = near_graph(x, 5);
  for (const std::string diversity : {"ball", "nearest"}) {
    GrainOptions options = with_k(40, 0.02);
    options.diversity = diversity;
    options.max_witnesses = 6000;
    const GrainResult exact = grain(x, one_label(6000), graph, options);
    options.max_witnesses = 600;
    const GrainResult sampled = grain(x, one_label(6000), graph, options);
    EXPECT_EQ(exact.n_witnesses, 6000);
    EXPECT_EQ(sampled.n_witnesses, 600);
    EXPECT_NE(sampled.chosen, exact.chosen);
    const auto value = [](const GrainResult& result) {
      return std::accumulate(result.gains.begin(), result.gains.end(), 0.0);
    };
    EXPECT_GT(value(sampled), 0.93 * value(exact)) << diversity;
    options.seed = 1;
    EXPECT_NE(grain(x, one_label(6000), graph, options).chosen, sampled.chosen);
  }
}

TEST(Grain, OnWitnessesGainsEstimateWhatIsCovered) {
  const Matrix<float> x = gaussian(400, 3, 9);
  const graph::SparseGraph graph = near_graph(x, 2);
  GrainOptions options = with_k(25, 0.1);
  options.max_witnesses = 200;
  const Dense dense(x, graph);
  double estimated = 0.0, covered_nodes = 0.0;
  for (options.seed = 0; options.seed < 8; ++options.seed) {
    const GrainResult result = grain(x, one_label(400), graph, options);
    ASSERT_EQ(result.n_witnesses, 200);
    std::set<Index> covered;
    for (std::size_t j = 0; j < result.chosen.size(); ++j) {
      for (const Index u : dense.influenced_by(result.chosen[j])) {
        for (Index w = 0; w < 400; ++w) {
          if (dense.distance(u, w) <= 0.1 * result.distance_scale) covered.insert(w);
        }
      }
      EXPECT_EQ(std::fmod(result.gains[j], 2.0), 0.0);  // each witness stands for two nodes
      estimated += result.gains[j];
    }
    covered_nodes += static_cast<double>(covered.size());
  }
  // The best choice for a sample looks better on it than it is.
  EXPECT_GT(estimated, covered_nodes);
  EXPECT_LT(estimated, 1.5 * covered_nodes);
}

TEST(Grain, GivesEveryRowToTheNearestChosenRow) {
  const Matrix<float> x = gaussian(300, 4, 2);
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
  const Matrix<float> x = gaussian(100, 2, 3);
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
  const Matrix<float> x = gaussian(4000, 5, 4);
  const graph::SparseGraph graph = near_graph(x, 4);
  for (const std::string diversity : {"ball", "nearest"}) {
    for (const Index max_witnesses : {4000, 500}) {
      GrainOptions options = with_k(50);
      options.diversity = diversity;
      options.max_witnesses = max_witnesses;
      options.num_threads = 1;
      const GrainResult one = grain(x, one_label(4000), graph, options);
      options.num_threads = 2;
      const GrainResult two = grain(x, one_label(4000), graph, options);
      EXPECT_EQ(one.n_witnesses, max_witnesses);
      EXPECT_EQ(one.chosen, two.chosen);
      EXPECT_EQ(one.gains, two.gains);
      EXPECT_EQ(one.compression.assignment, two.compression.assignment);
      if (one.n_witnesses < 4000) continue;
      EXPECT_TRUE(std::is_sorted(one.gains.rbegin(), one.gains.rend()));
    }
  }
}

TEST(Grain, RefusesAndStops) {
  const Matrix<float> x = gaussian(60, 2, 5);
  const graph::SparseGraph graph = near_graph(x, 3);
  expect_refused([&] { grain(x, one_label(60), graph, with_k(5, 1.5)); },
                 "radius: expected a share in [0, 1], got 1.500000");
  expect_refused([&] { grain(x, one_label(60), graph, with_k(61)); },
                 "n_representatives: 61 asked for, but X has only 60 distinct rows");
  GrainOptions options = with_k(5);
  options.diversity = "furthest";
  EXPECT_THROW(grain(x, one_label(60), graph, options), InvalidArgument);
  options = with_k(5);
  options.max_witnesses = -1;
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
