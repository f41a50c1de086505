#include "ecseq/graph/contraction.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "ecseq/core/parallel.hpp"

namespace ecseq::graph {
namespace {

constexpr Index kChunk = 1024;

/// Some rows of the contracted graph.
struct Rows {
  std::vector<Index> lengths;
  std::vector<std::int32_t> neighbors;
  std::vector<float> weights;
};

Rows contract_rows(const SparseGraph& graph, const std::vector<Index>& parent,
                   const Members& members, Index begin, Index end) {
  Rows rows;
  std::vector<std::pair<std::int32_t, float>> entries;
  for (Index group = begin; group < end; ++group) {
    entries.clear();
    const auto at = static_cast<std::size_t>(group);
    for (Index m = members.offsets[at]; m < members.offsets[at + 1]; ++m) {
      const Index i = members.nodes[static_cast<std::size_t>(m)];
      const auto neighbors = graph.neighbors_of(i);
      const auto weights = graph.weights_of(i);
      for (std::size_t e = 0; e < neighbors.size(); ++e) {
        const Index other = parent[static_cast<std::size_t>(neighbors[e])];
        if (other != group) entries.emplace_back(static_cast<std::int32_t>(other), weights[e]);
      }
    }
    // By weight within a neighbour, so that both ends of an edge add the same numbers in the same
    // order and the graph stays symmetric to the last bit.
    std::sort(entries.begin(), entries.end());
    const std::size_t before = rows.neighbors.size();
    for (std::size_t e = 0; e < entries.size();) {
      const std::int32_t other = entries[e].first;
      double weight = 0.0;
      for (; e < entries.size() && entries[e].first == other; ++e) weight += entries[e].second;
      rows.neighbors.push_back(other);
      rows.weights.push_back(static_cast<float>(weight));
    }
    rows.lengths.push_back(static_cast<Index>(rows.neighbors.size() - before));
  }
  return rows;
}

}  // namespace

Members members_of(const std::vector<Index>& parent, Index n_groups) {
  Members out;
  out.offsets.assign(static_cast<std::size_t>(n_groups) + 1, 0);
  for (const Index group : parent) ++out.offsets[static_cast<std::size_t>(group) + 1];
  std::partial_sum(out.offsets.begin(), out.offsets.end(), out.offsets.begin());
  std::vector<Index> next(out.offsets.begin(), out.offsets.end() - 1);
  out.nodes.resize(parent.size());
  for (std::size_t i = 0; i < parent.size(); ++i) {
    Index& place = next[static_cast<std::size_t>(parent[i])];
    out.nodes[static_cast<std::size_t>(place++)] = static_cast<Index>(i);
  }
  return out;
}

SparseGraph contract(const SparseGraph& graph, const std::vector<Index>& parent, Index n_groups,
                     int threads) {
  const Members members = members_of(parent, n_groups);
  const Index n_chunks = (n_groups + kChunk - 1) / kChunk;
  std::vector<Rows> parts(static_cast<std::size_t>(n_chunks));
  parallel_for(n_chunks, threads, [&](Index c) {
    parts[static_cast<std::size_t>(c)] =
        contract_rows(graph, parent, members, c * kChunk, std::min(n_groups, (c + 1) * kChunk));
  });
  SparseGraph out;
  for (const Rows& part : parts) {
    for (const Index length : part.lengths) out.offsets.push_back(out.offsets.back() + length);
    out.neighbors.insert(out.neighbors.end(), part.neighbors.begin(), part.neighbors.end());
    out.weights.insert(out.weights.end(), part.weights.begin(), part.weights.end());
  }
  return out;
}

Matrix<double> average_rows(const Matrix<double>& x, const Members& members, int threads) {
  const auto n_groups = static_cast<Index>(members.offsets.size()) - 1;
  Matrix<double> out = Matrix<double>::Zero(n_groups, x.cols());
  parallel_chunks(n_groups, kChunk, threads, [&](Index begin, Index end) {
    for (Index group = begin; group < end; ++group) {
      const Index first = members.offsets[static_cast<std::size_t>(group)];
      const Index last = members.offsets[static_cast<std::size_t>(group) + 1];
      for (Index m = first; m < last; ++m) {
        out.row(group) += x.row(members.nodes[static_cast<std::size_t>(m)]);
      }
      out.row(group) /= static_cast<double>(last - first);
    }
  });
  return out;
}

}  // namespace ecseq::graph
