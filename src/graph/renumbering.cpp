#include "ecseq/graph/renumbering.hpp"

#include <algorithm>
#include <utility>

#include "ecseq/core/parallel.hpp"

namespace ecseq::graph {
namespace {

constexpr Index kChunk = 4096;

}  // namespace

std::vector<Index> breadth_first_order(const SparseGraph& graph) {
  std::vector<Index> order;
  order.reserve(static_cast<std::size_t>(graph.size()));
  std::vector<bool> seen(static_cast<std::size_t>(graph.size()), false);
  const auto visit = [&](Index i) {
    if (seen[static_cast<std::size_t>(i)]) return;
    seen[static_cast<std::size_t>(i)] = true;
    order.push_back(i);
  };
  std::size_t next = 0;
  for (Index start = 0; start < graph.size(); ++start) {
    visit(start);
    for (; next < order.size(); ++next) {
      for (const auto j : graph.neighbors_of(order[next])) visit(j);
    }
  }
  return order;
}

SparseGraph renumber(const SparseGraph& graph, const std::vector<Index>& order, int threads) {
  std::vector<std::int32_t> place(order.size());
  SparseGraph out;
  out.offsets.reserve(order.size() + 1);
  for (std::size_t p = 0; p < order.size(); ++p) {
    place[static_cast<std::size_t>(order[p])] = static_cast<std::int32_t>(p);
    out.offsets.push_back(out.offsets.back() +
                          static_cast<Index>(graph.neighbors_of(order[p]).size()));
  }
  out.neighbors.resize(graph.neighbors.size());
  out.weights.resize(graph.weights.size());
  parallel_chunks(out.size(), kChunk, threads, [&](Index begin, Index end) {
    std::vector<std::pair<std::int32_t, float>> row;
    for (Index p = begin; p < end; ++p) {
      const Index i = order[static_cast<std::size_t>(p)];
      row.clear();
      for (std::size_t e = 0; e < graph.neighbors_of(i).size(); ++e) {
        row.emplace_back(place[static_cast<std::size_t>(graph.neighbors_of(i)[e])],
                         graph.weights_of(i)[e]);
      }
      std::sort(row.begin(), row.end());
      auto at = static_cast<std::size_t>(out.offsets[static_cast<std::size_t>(p)]);
      for (const auto& [neighbor, weight] : row) {
        out.neighbors[at] = neighbor;
        out.weights[at++] = weight;
      }
    }
  });
  return out;
}

}  // namespace ecseq::graph
