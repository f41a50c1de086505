#pragma once

#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/graph/sparse_graph.hpp"
#include "sort_edges.hpp"

namespace ecseq::compress {

/// The disjoint sets that one level contracts.
struct ContractionSets {
  std::vector<Index> parent;  ///< [nodes], the new node of each; numbered by their lowest node
  Index n_groups = 0;
  double variation = 0.0;  ///< sum of cost (|S| - 1)
  bool joined = false;     ///< a matched pair took in more nodes, whose cost `variation` leaves out
};

/// Marks, during a level, which nodes were merged into which.
class Contraction {
 public:
  /// At most `budget` nodes may disappear.
  Contraction(Index nodes, Index budget)
      : leader_(static_cast<std::size_t>(nodes), -1), budget_(budget) {}

  bool taken(Index i) const { return leader_[static_cast<std::size_t>(i)] >= 0; }
  Index budget() const { return budget_; }

  template <class Set>
  void contract(const Set& set, double cost) {
    for (const Index i : set) leader_[static_cast<std::size_t>(i)] = set[0];
    const auto gain = static_cast<Index>(set.size()) - 1;
    budget_ -= gain;
    variation_ += cost * static_cast<double>(gain);
  }

  /// The free node i joins the set of j, alone until now or not.
  void join(Index i, Index j) {
    if (!taken(j)) leader_[static_cast<std::size_t>(j)] = j;
    leader_[static_cast<std::size_t>(i)] = leader_[static_cast<std::size_t>(j)];
    --budget_;
    joined_ = true;
  }

  ContractionSets finish() const;

 private:
  std::vector<Index> leader_;  // [nodes], a node of its set, or -1
  Index budget_;
  double variation_ = 0.0;
  bool joined_ = false;
};

/// Every edge of a graph once, in the order of (i, j), without costs.
void list_edges(const graph::SparseGraph& graph, std::vector<CandidateEdge>& edges);

/// The same at cost(i, j).
template <class Cost>
void price_edges(const graph::SparseGraph& graph, int threads, const Cost& cost,
                 std::vector<CandidateEdge>& edges) {
  constexpr Index kChunk = 4096;
  list_edges(graph, edges);
  parallel_chunks(static_cast<Index>(edges.size()), kChunk, threads, [&](Index begin, Index end) {
    for (Index e = begin; e < end; ++e) {
      CandidateEdge& edge = edges[static_cast<std::size_t>(e)];
      edge.cost = cost(edge.i, edge.j);
    }
  });
}

/// Greedy matching: the cheapest edge whose ends are free, until the budget is spent; ties go to
/// the lower nodes, by whom the edges must be in order. Where a hub holds the graph together few
/// ends are free at a time: a matching of less than a tenth of the budget is filled up to that by
/// free nodes that join a neighbour's set, cheapest edge first. The edges are sorted; scratch: see
/// sort_edges.
ContractionSets match_edges(Index nodes, std::vector<CandidateEdge>& edges,
                            PagedArray<CandidateEdge>& scratch, Index budget, int threads,
                            const ProgressCallback& progress);

/// The cheapest neighbourhoods (a node with its neighbours) by local variation. One that lost
/// members to a cheaper set is priced again without them; one that lost its centre is given up,
/// because the rest need not be connected. Sets beyond the budget are passed over.
/// target: A, [nodes, k].
ContractionSets contract_neighborhoods(const graph::SparseGraph& graph,
                                       const std::vector<double>& degrees,
                                       const Matrix<double>& target, Index budget, int threads,
                                       const ProgressCallback& progress);

/// The same for the maximal cliques. Throws InvalidArgument where they are too many
/// (see CoarseningOptions).
ContractionSets contract_cliques(const graph::SparseGraph& graph,
                                 const std::vector<double>& degrees, const Matrix<double>& target,
                                 Index budget, int threads, const ProgressCallback& progress);

}  // namespace ecseq::compress
