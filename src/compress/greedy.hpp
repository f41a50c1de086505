#pragma once

#include <functional>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/progress.hpp"

namespace ecseq::compress {

/// A monotone submodular function of a set of nodes, which grows by one node at a time.
class GreedyObjective {
 public:
  GreedyObjective() = default;
  GreedyObjective(const GreedyObjective&) = delete;
  GreedyObjective& operator=(const GreedyObjective&) = delete;
  virtual ~GreedyObjective() = default;

  /// What v would add now, perhaps estimated; never more than it would have added before.
  virtual double gain(Index v) const = 0;
  /// Adds v; returns what it added.
  virtual double choose(Index v) = 0;
};

struct GreedyChoice {
  std::vector<Index> chosen;  ///< in the order of their choice
  std::vector<double> gains;  ///< what each added
};

/// The node of highest gain, the lower one on ties, again and again: until k nodes are chosen or
/// none gains anything. accept(v) may pass a node over. Exact by lazy evaluation (Leskovec et al.,
/// KDD 2007): a gain is evaluated again only when it is the highest as known before.
GreedyChoice choose_greedily(GreedyObjective& objective, Index n, Index k,
                             const std::function<bool(Index)>& accept, int threads,
                             const ProgressCallback& progress);

}  // namespace ecseq::compress
