#include "ecseq/graph/components.hpp"

#include <gtest/gtest.h>

#include "random_graph.hpp"

namespace ecseq::graph {
namespace {

TEST(Components, AreNumberedByTheirLowestNode) {
  const SparseGraph graph = testing::graph_of(7, {{{0, 4}, 1.0F}, {{4, 6}, 1.0F}, {{1, 3}, 1.0F}});
  const Components components = connected_components(graph);
  EXPECT_EQ(components.of_node, (std::vector<Index>{0, 1, 2, 1, 0, 3, 0}));
  EXPECT_EQ(components.sizes, (std::vector<Index>{3, 2, 1, 1}));
}

TEST(Components, OfNoNodesAreNone) { EXPECT_EQ(connected_components(SparseGraph()).size(), 0); }

TEST(Components, OfALongPathAreOne) {
  testing::Edges edges;
  for (Index i = 0; i + 1 < 100'000; ++i) edges[{i, i + 1}] = 1.0F;
  EXPECT_EQ(connected_components(testing::graph_of(100'000, edges)).size(), 1);
}

}  // namespace
}  // namespace ecseq::graph
