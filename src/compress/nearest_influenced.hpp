#pragma once

#include <vector>

#include "greedy.hpp"

namespace ecseq::compress {

/// Grain's NN-D: |sigma(S)| / N + (1 / M) sum over witnesses w of (1 - min over u in sigma(S) of
/// d(w, u)), sigma(S) being what the chosen nodes influence and d the distance of the smooth
/// features over `scale`, at most 1. Exact where all N nodes are witnesses.
///
/// The distances of the witnesses from what each node influences are kept, 4 N M bytes.
class NearestInfluenced : public GreedyObjective {
 public:
  /// smooth: [N, h]; scale > 0, or 0 where all distances are 0.
  NearestInfluenced(const graph::NormalizedAdjacency& adjacency, const Matrix<float>& smooth,
                    double scale, const std::vector<Index>& witnesses, int threads,
                    const ProgressCallback& progress);

  double gain(Index v, Marks& marks) const override;
  double choose(Index v) override;

 private:
  const graph::NormalizedAdjacency& adjacency_;
  Index n_witnesses_;
  std::vector<float> distance_;         ///< [N, M], of each witness from what each influences
  std::vector<float> nearest_;          ///< [M], from what the chosen ones influence
  std::vector<unsigned char> reached_;  ///< [N], influenced by a chosen node
  Marks marks_;
};

}  // namespace ecseq::compress
