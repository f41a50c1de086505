#include "../../src/compress/sort_edges.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "ecseq/core/rng.hpp"

namespace ecseq::compress {
namespace {

using Cost = std::function<double(Rng&)>;

std::vector<CandidateEdge> edges_at(std::int32_t n, const Cost& cost) {
  Rng rng(7);
  std::vector<CandidateEdge> edges;
  for (std::int32_t i = 0; i < n; ++i) edges.push_back({cost(rng), i, i + 1});
  return edges;
}

void expect_sorted(std::vector<CandidateEdge> edges, PagedArray<CandidateEdge>& scratch,
                   int threads) {
  std::vector<CandidateEdge> expected = edges;
  std::stable_sort(expected.begin(), expected.end(),
                   [](const CandidateEdge& a, const CandidateEdge& b) { return a.cost < b.cost; });
  sort_edges(edges, scratch, threads, [] {});
  ASSERT_EQ(edges.size(), expected.size());
  for (std::size_t e = 0; e < edges.size(); ++e) {
    ASSERT_EQ(edges[e].i, expected[e].i) << e;
    ASSERT_EQ(edges[e].j, expected[e].j) << e;
    ASSERT_EQ(edges[e].cost, expected[e].cost) << e;
  }
}

TEST(SortEdges, SortsAsAStableSortDoes) {
  const std::vector<std::pair<std::string, Cost>> costs = {
      {"uniform", [](Rng& rng) { return rng.uniform(-1.0, 1.0); }},
      {"ties", [](Rng& rng) { return static_cast<double>(rng.below(5)); }},
      {"alike", [](Rng&) { return 2.5; }},
      {"zeros of both signs", [](Rng& rng) { return rng.below(2) == 0 ? 0.0 : -0.0; }},
      {"orders of magnitude", [](Rng& rng) { return std::exp(rng.uniform(-700.0, 700.0)); }},
      {"a few far out",
       [](Rng& rng) { return rng.below(1000) == 0 ? -1e300 : rng.uniform(1.0, 1.001); }},
  };
  // One bucket, then many; the scratch of one call serves the next.
  PagedArray<CandidateEdge> scratch;
  for (const auto& [name, cost] : costs) {
    for (const std::int32_t n : {0, 1, 2, 1000, 16'384, 16'385, 300'000}) {
      for (const int threads : {1, 2}) {
        SCOPED_TRACE(name + ", " + std::to_string(n));
        expect_sorted(edges_at(n, cost), scratch, threads);
      }
    }
  }
}

TEST(SortEdges, BreathesSoThatACallerCanStopIt) {
  std::vector<CandidateEdge> edges =
      edges_at(300'000, [](Rng& rng) { return rng.uniform(0.0, 1.0); });
  PagedArray<CandidateEdge> scratch;
  int breaths = 0;
  EXPECT_THROW(sort_edges(edges, scratch, 1,
                          [&] {
                            if (++breaths == 2) throw std::string("stop");
                          }),
               std::string);
}

}  // namespace
}  // namespace ecseq::compress
