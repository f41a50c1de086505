#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/core/paged_array.hpp"
#include "ecseq/graph/normalized_adjacency.hpp"
#include "greedy.hpp"

namespace ecseq::compress {

/// Grain's ball-D: the number of nodes within the radius of what the chosen nodes influence,
/// counted on M witnesses that stand for N / M nodes each.
///
/// What each node covers among the witnesses is kept as bits, N M / 8 bytes, found in time O(N M h)
/// however large the balls.
class BallCoverage : public GreedyObjective {
 public:
  /// smooth: [N, h]; witnesses: of its rows, increasing.
  BallCoverage(const graph::NormalizedAdjacency& adjacency, const Matrix<float>& smooth,
               double radius, const std::vector<Index>& witnesses, int threads,
               const ProgressCallback& progress);

  double gain(Index v) const override;
  double choose(Index v) override;

 private:
  double nodes_per_witness() const {
    return static_cast<double>(n_nodes_) / static_cast<double>(n_witnesses_);
  }

  Index n_witnesses_, n_nodes_;
  std::vector<PagedArray<std::uint64_t>> cover_;  ///< [M / 2048], each [N, 32]: what each covers
  std::vector<std::uint64_t> uncovered_;          ///< [32 M / 2048], bits of the witnesses
};

}  // namespace ecseq::compress
