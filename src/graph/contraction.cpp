#include "ecseq/graph/contraction.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>

#include "ecseq/core/cache_line.hpp"
#include "ecseq/core/parallel.hpp"

namespace ecseq::graph {
namespace {

constexpr Index kChunk = 1024;
constexpr Index kRound = 8;  // chunks, whose rows are kept apart until they are joined

/// A neighbour and a weight as one integer in the order of both: neighbours are not negative, and
/// the bits of weights that are not negative increase with them.
std::int64_t packed(std::int32_t neighbor, float weight) {
  return (std::int64_t{neighbor} << 32) | std::bit_cast<std::uint32_t>(weight);
}
std::int32_t neighbor_of(std::int64_t entry) { return static_cast<std::int32_t>(entry >> 32); }
float weight_of(std::int64_t entry) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(entry));
}

/// Some rows of the contracted graph.
class RowContraction {
 public:
  RowContraction(const SparseGraph& graph, const std::vector<std::int32_t>& parent,
                 const Members& members)
      : graph_(graph), parent_(parent), members_(members) {}

  /// The rows of the groups begin .. end - 1, instead of what there was.
  void contract(Index begin, Index end) {
    lengths_.clear();
    neighbors_.clear();
    weights_.clear();
    for (Index group = begin; group < end; ++group) {
      const std::span<std::int64_t> entries = gather(static_cast<std::int32_t>(group));
      // By weight within a neighbour, so that both ends of an edge add the same numbers in the same
      // order and the graph stays symmetric to the last bit.
      std::sort(entries.begin(), entries.end());
      const std::size_t before = neighbors_.size();
      for (std::size_t e = 0; e < entries.size();) {
        const std::int32_t other = neighbor_of(entries[e]);
        double weight = 0.0;
        for (; e < entries.size() && neighbor_of(entries[e]) == other; ++e) {
          weight += weight_of(entries[e]);
        }
        neighbors_.push_back(other);
        weights_.push_back(static_cast<float>(weight));
      }
      lengths_.push_back(static_cast<Index>(neighbors_.size() - before));
    }
  }

  void append_to(SparseGraph& out) const {
    for (const Index length : lengths_) out.offsets.push_back(out.offsets.back() + length);
    out.neighbors.insert(out.neighbors.end(), neighbors_.begin(), neighbors_.end());
    out.weights.insert(out.weights.end(), weights_.begin(), weights_.end());
  }

 private:
  /// The edges that leave the group, by the group at their other end.
  std::span<std::int64_t> gather(std::int32_t group) {
    std::size_t count = 0;
    const auto at = static_cast<std::size_t>(group);
    for (Index m = members_.offsets[at]; m < members_.offsets[at + 1]; ++m) {
      fetch_ahead(m);
      const Index i = members_.nodes[static_cast<std::size_t>(m)];
      const auto neighbors = graph_.neighbors_of(i);
      const auto weights = graph_.weights_of(i);
      const std::size_t most = count + neighbors.size();
      if (entries_.size() < most) entries_.resize(2 * most);
      // Without a branch that could be guessed wrong: the next entry writes over one that stays.
      for (std::size_t e = 0; e < neighbors.size(); ++e) {
        const std::int32_t other = parent_[static_cast<std::size_t>(neighbors[e])];
        entries_[count] = packed(other, weights[e]);
        count += other != group ? 1 : 0;
      }
    }
    return std::span(entries_).first(count);
  }

  /// What members whose turn is soon need lies anywhere: first where their edges are, then the
  /// edges, then the groups at their other ends.
  void fetch_ahead(Index m) const {
    constexpr Index kNear = 3, kFar = 6, kFarthest = 9;
    const auto node = [&](Index ahead) {
      return members_.nodes[static_cast<std::size_t>(
          std::min(m + ahead, static_cast<Index>(members_.nodes.size()) - 1))];
    };
    fetch_line(graph_.offsets.data() + node(kFarthest));
    const auto edges = graph_.neighbors_of(node(kFar));
    fetch_line(edges.data());
    fetch_line(graph_.weights_of(node(kFar)).data());
    for (const std::int32_t other : graph_.neighbors_of(node(kNear))) {
      fetch_line(parent_.data() + other);
    }
  }

  const SparseGraph& graph_;
  const std::vector<std::int32_t>& parent_;
  const Members& members_;
  std::vector<std::int64_t> entries_;
  std::vector<Index> lengths_;
  std::vector<std::int32_t> neighbors_;
  std::vector<float> weights_;
};

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

void contract(const SparseGraph& graph, const std::vector<Index>& parent, const Members& members,
              int threads, SparseGraph& out) {
  const auto n_groups = static_cast<Index>(members.offsets.size()) - 1;
  // Looked up at random, once for each end of each edge: half the size fits the cache twice as
  // long.
  const std::vector<std::int32_t> groups(parent.begin(), parent.end());
  out.offsets.assign(1, 0);
  out.offsets.reserve(static_cast<std::size_t>(n_groups) + 1);
  out.neighbors.clear();
  out.neighbors.reserve(graph.neighbors.size());
  out.weights.clear();
  out.weights.reserve(graph.neighbors.size());
  std::vector<RowContraction> parts(kRound, RowContraction(graph, groups, members));
  for (Index first = 0; first < n_groups; first += kRound * kChunk) {
    parallel_for(kRound, threads, [&](Index p) {
      const Index begin = std::min(n_groups, first + p * kChunk);
      parts[static_cast<std::size_t>(p)].contract(begin, std::min(n_groups, begin + kChunk));
    });
    for (const RowContraction& part : parts) part.append_to(out);
  }
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
