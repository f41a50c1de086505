#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/graph/range_search.hpp"
#include "greedy.hpp"

namespace ecseq::compress {

/// Grain's ball-D: the number of nodes within the radius of what the chosen nodes influence.
///
/// What each node covers among the witnesses is kept as bits, N M / 8 bytes for M witnesses, found
/// in time O(N M h) however large the balls. With fewer witnesses than nodes a gain is estimated:
/// the nodes that v influences itself are counted all, the others by those among the witnesses,
/// each for N / M nodes. What is covered is followed on all nodes.
class BallCoverage : public GreedyObjective {
 public:
  /// smooth: [N, h]; witnesses: increasing; progress is kept.
  BallCoverage(const graph::NormalizedAdjacency& adjacency, const Matrix<float>& smooth,
               double radius, std::vector<Index> witnesses, int threads,
               const ProgressCallback& progress);

  double gain(Index v, Marks& marks) const override;
  double choose(Index v) override;

 private:
  bool exact() const { return witnesses_.size() == covered_.size(); }
  void cover_witnesses();
  /// Marks what lies within the radius of the nodes; returns how many were not marked.
  Index cover_around(const std::vector<Index>& nodes);
  /// The same from the bits of v, where every node is a witness.
  Index cover_known(Index v);

  const graph::NormalizedAdjacency& adjacency_;
  graph::RangeSearch search_;
  std::vector<Index> witnesses_;
  int threads_;
  const ProgressCallback& progress_;
  std::vector<std::vector<std::uint64_t>> cover_;  ///< [M / 2048], each [N, 32]: what each covers
  std::vector<std::uint64_t> uncovered_;           ///< [32 M / 2048], bits of the witnesses
  std::vector<unsigned char> is_witness_;          ///< [N]
  std::vector<unsigned char> covered_, reached_;   ///< [N]; reached: influenced by a chosen node
  Marks marks_;
};

}  // namespace ecseq::compress
