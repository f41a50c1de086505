#pragma once

#include "ecseq/core/matrix.hpp"
#include "ecseq/relation/similarity_relation.hpp"

namespace ecseq::serving {

/// What sources that never change send: x W of each, computed once.
class FixedSources {
 public:
  /// sources: [K, in]; weight: [in, out]. Sums in double.
  FixedSources(MatrixView<float> sources, const Matrix<float>& weight);

  Index size() const { return sent_.rows(); }
  /// [out], in whole vectors
  const float* sent(Index source) const { return sent_.row(source).data(); }
  /// sum += what is heard, by weight.  sum: [out], in whole vectors
  void add(const relation::Neighbours& heard, float* sum) const;

 private:
  Matrix<float> sent_;  ///< [K, out padded]
};

}  // namespace ecseq::serving
