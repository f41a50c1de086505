// What holds for every compressor by name, also for one that is added later.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>

#include "ecseq/compress/compressor.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/graph/knn_graph.hpp"

namespace ecseq::compress {
namespace {

/// `blobs` groups of n / blobs rows each, far apart: row i is of group i % blobs.
Matrix<float> blobs_of(Index n, Index blobs, std::uint64_t seed) {
  Rng rng(seed);
  Matrix<float> x(n, 3);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.normal());
  for (Index i = 0; i < n; ++i) x(i, 0) += static_cast<float>(40 * (i % blobs));
  return x;
}

/// Two channels of labels, and two groups for the methods that balance.
struct Data {
  Matrix<float> x, labels;
  std::vector<int> group;

  explicit Data(Matrix<float> rows) : x(std::move(rows)), labels(x.rows(), 2) {
    for (Index i = 0; i < x.rows(); ++i) {
      labels.row(i) << static_cast<float>(i % 3 == 0), static_cast<float>(i % 3 != 0);
      group.push_back(static_cast<int>(i % 2));
    }
  }
  Compression compress(const std::string& method, Index k,
                       const graph::SparseGraph* graph = nullptr, std::uint64_t seed = 0) const {
    CompressorOptions options;
    options.method = method;
    options.n_representatives = k;
    options.n_neighbors = 6;
    options.seed = seed;
    options.max_power = 5;
    return compress::compress({x, labels, group, graph}, options);
  }
};

/// An assignment phi of every row to one representative, whose columns sum to 1 when divided by the
/// mass; and what is said of the representatives follows from it.
/// Only a graph's components may stand in the way of as few as K, and then the report says so.
void expect_sound(const Data& data, const Compression& result, Index k) {
  const Representatives& found = result.representatives;
  const Index n = data.x.rows();
  ASSERT_GE(found.size(), 1);
  if (found.size() > k) {
    EXPECT_NE(result.report.note.find("component"), std::string::npos) << result.report.note;
  }
  EXPECT_EQ(result.report.requested, k);
  ASSERT_EQ(static_cast<Index>(result.assignment.size()), n);
  ASSERT_EQ(static_cast<Index>(found.mass.size()), found.size());
  std::vector<double> members(static_cast<std::size_t>(found.size()), 0.0);
  Matrix<double> label_sums = Matrix<double>::Zero(found.size(), 2);
  for (Index i = 0; i < n; ++i) {
    const auto j = result.assignment[static_cast<std::size_t>(i)];
    ASSERT_GE(j, 0);
    ASSERT_LT(j, found.size());
    members[static_cast<std::size_t>(j)] += 1.0;
    label_sums.row(j) += data.labels.row(i).cast<double>();
  }
  EXPECT_EQ(std::accumulate(found.mass.begin(), found.mass.end(), 0.0), static_cast<double>(n));
  std::vector<double> phi(members.size(), 0.0);
  for (const auto j : result.assignment) {
    phi[static_cast<std::size_t>(j)] += 1.0 / found.mass[static_cast<std::size_t>(j)];
  }
  std::set<std::vector<float>> values;
  for (Index j = 0; j < found.size(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    EXPECT_EQ(found.mass[at], members[at]);
    EXPECT_GT(members[at], 0.0) << "an empty representative";
    EXPECT_NEAR(phi[at], 1.0, 1e-9);
    EXPECT_EQ(result.assignment[static_cast<std::size_t>(found.medoid(j))], j);
    const std::vector<float> vector(found.vectors.row(j).begin(), found.vectors.row(j).end());
    EXPECT_TRUE(values.insert(vector).second) << "two representatives are equal";
    EXPECT_TRUE(found.vectors.row(j).allFinite());
  }
  EXPECT_EQ(found.label_sums, label_sums);
}

/// The groups of rows that share a representative, whatever its number.
std::set<std::set<Index>> parts(const Compression& result, const std::vector<Index>& row_of) {
  std::map<std::int64_t, std::set<Index>> groups;
  for (std::size_t i = 0; i < row_of.size(); ++i) groups[result.assignment[i]].insert(row_of[i]);
  std::set<std::set<Index>> out;
  for (const auto& [number, rows] : groups) out.insert(rows);
  return out;
}

std::vector<Index> identity(Index n) {
  std::vector<Index> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), Index{0});
  return rows;
}

class EveryCompressor : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryCompressor, AssignsEveryRowOnce) {
  for (const Index k : {2, 7, 40}) {
    const Data data(blobs_of(240, 4, 1));
    expect_sound(data, data.compress(GetParam(), k), k);
  }
}

TEST_P(EveryCompressor, GoesDownToOneRepresentative) {
  if (GetParam() == "balanced_kmeans" || GetParam() == "stratified_random") {
    GTEST_SKIP() << "one for each group at least";
  }
  const Data data(blobs_of(90, 1, 2));
  const Compression result = data.compress(GetParam(), 1);
  expect_sound(data, result, 1);
  EXPECT_EQ(result.representatives.size(), 1);
  EXPECT_EQ(result.representatives.mass[0], 90.0);
}

TEST_P(EveryCompressor, GoesUpToARepresentativeForEachRow) {
  const Data data(blobs_of(60, 2, 3));
  const Compression result = data.compress(GetParam(), 60);
  expect_sound(data, result, 60);
  if (GetParam() == "grain" || GetParam() == "agc") return;  // fewer cover all; smoothed rows merge
  EXPECT_EQ(result.representatives.size(), 60);
  // k-means computes |x - c|^2 as |x|^2 - 2 x c + |c|^2, which rounds.
  EXPECT_NEAR(result.report.objective, 0.0, 1e-6 * data.x.squaredNorm());
}

TEST_P(EveryCompressor, TakesDuplicates) {
  // Twelve values of twenty rows each, every value in one group only.
  Matrix<float> x(240, 3);
  for (Index i = 0; i < 240; ++i) {
    for (Index k = 0; k < 3; ++k) {
      x(i, k) = static_cast<float>((i % 12) * (k + 1) % 17);
    }
  }
  const Data data(x);
  for (const Index k : {4, 12}) {
    expect_sound(data, data.compress(GetParam(), k), k);
  }
}

TEST_P(EveryCompressor, TakesADisconnectedGraphAndIsolatedNodes) {
  const Data data(blobs_of(160, 4, 4));
  graph::SparseGraph graph = graph::knn_graph(data.x, 4).graph;
  // The last thirty rows lose their edges.
  graph::SparseGraph cut;
  for (Index i = 0; i < 160; ++i) {
    const auto neighbors = graph.neighbors_of(i);
    for (std::size_t e = 0; e < neighbors.size(); ++e) {
      if (i >= 130 || neighbors[e] >= 130) continue;
      cut.neighbors.push_back(neighbors[e]);
      cut.weights.push_back(graph.weights_of(i)[e]);
    }
    cut.offsets.push_back(static_cast<Index>(cut.neighbors.size()));
  }
  graph::SparseGraph none;
  none.offsets.assign(161, 0);
  for (const graph::SparseGraph* given : {&graph, &cut, &none}) {
    graph::validate(*given);
    for (const Index k : {3, 20, 100}) {
      expect_sound(data, data.compress(GetParam(), k, given), k);
    }
  }
}

TEST_P(EveryCompressor, RepeatsItselfForASeed) {
  const Data data(blobs_of(200, 5, 5));
  const Compression first = data.compress(GetParam(), 15, nullptr, 3);
  const Compression again = data.compress(GetParam(), 15, nullptr, 3);
  EXPECT_EQ(first.assignment, again.assignment);
  EXPECT_EQ(first.representatives.vectors, again.representatives.vectors);
}

/// Methods that draw nothing at random and whose choices have no ties here.
bool follows_permutations(const std::string& method) {
  const std::set<std::string> known = {"k_center", "heavy_edge", "variation_edges",
                                       "variation_cliques", "variation_neighborhoods"};
  return known.count(method) > 0;
}

TEST_P(EveryCompressor, OfPermutedRowsIsThePermutedResult) {
  const Data data(blobs_of(240, 4, 6));
  const std::vector<Index> order = Rng(7).permutation(240);
  Data permuted(take_rows<float>(data.x, order));
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Index row = order[i];
    permuted.labels.row(static_cast<Index>(i)) = data.labels.row(row);
    permuted.group[i] = data.group[static_cast<std::size_t>(row)];
  }
  const Compression here = data.compress(GetParam(), 12);
  const Compression there = permuted.compress(GetParam(), 12);
  expect_sound(permuted, there, 12);
  if (follows_permutations(GetParam())) {
    EXPECT_EQ(parts(here, identity(240)), parts(there, order));
    EXPECT_NEAR(here.report.objective, there.report.objective, 1e-6 * here.report.objective);
    return;
  }
  // Other rows are drawn, or are the lower ones on ties: another result, about as good.
  EXPECT_LT(here.report.objective, 2.0 * there.report.objective);
  EXPECT_LT(there.report.objective, 2.0 * here.report.objective);
}

INSTANTIATE_TEST_SUITE_P(ByName, EveryCompressor, ::testing::ValuesIn(compressor_names()),
                         [](const auto& given) { return given.param; });

}  // namespace
}  // namespace ecseq::compress
