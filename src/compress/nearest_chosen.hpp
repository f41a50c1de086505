#pragma once

#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq::compress {

/// Squared distances of all rows from the nearest of the rows chosen so far: what farthest-first
/// and k-means++ draw from.
class NearestChosen {
 public:
  NearestChosen(MatrixView<float> x, int threads);

  /// Adds a chosen row. Time O(N h).
  void choose(Index chosen);
  /// The row farthest from those chosen, the lowest on ties.
  Index farthest() const;
  /// Sum over all rows, by chunks in order.
  double total() const;
  /// The row in which the running sum of the distances passes `target`, one whose distance is
  /// positive; 0 <= target < total().
  Index at(double target) const;

 private:
  struct Chunk {
    Index farthest = 0;
    double sum = 0.0;
  };

  MatrixView<float> x_;
  int threads_;
  std::vector<double> distance_;  ///< [N]
  std::vector<Chunk> chunks_;
};

}  // namespace ecseq::compress
