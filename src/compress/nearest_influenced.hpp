#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/core/paged_array.hpp"
#include "ecseq/graph/normalized_adjacency.hpp"
#include "greedy.hpp"
#include "influence.hpp"

namespace ecseq::compress {

/// Grain's NN-D: |sigma(S)| / N + (1 / M) sum over witnesses w of (1 - min over u in sigma(S) of
/// d(w, u)), sigma(S) being what the chosen nodes influence and d the distance of the smooth
/// features over `scale`, at most 1. Exact where all N nodes are witnesses.
///
/// The distances of the witnesses from what each node influences are kept, 2 N M bytes: in steps of
/// 1 / 65,535, so that their sums are exact whatever the order.
class NearestInfluenced : public GreedyObjective {
 public:
  /// smooth: [N, h]; scale > 0, or 0 where all distances are 0.
  NearestInfluenced(const graph::NormalizedAdjacency& adjacency, const Matrix<float>& smooth,
                    double scale, const std::vector<Index>& witnesses, int threads,
                    const ProgressCallback& progress);

  double gain(Index v) const override;
  double choose(Index v) override;

 private:
  const graph::NormalizedAdjacency& adjacency_;
  double n_witnesses_;
  /// [M / 128], each [N, 128]: distances of witnesses from what each node influences
  std::vector<PagedArray<std::uint16_t>> distance_;
  std::vector<std::uint16_t>
      nearest_;  ///< [M, to whole blocks], from what the chosen ones influence; 0 at the end
  std::vector<unsigned char> reached_;  ///< [N], influenced by a chosen node
  std::vector<std::int32_t> fresh_;     ///< [N], nodes that each influences and no chosen one does
  Marks marks_;
};

}  // namespace ecseq::compress
