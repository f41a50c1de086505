#pragma once

#include "ecseq/core/matrix.hpp"

namespace ecseq {

/// |a - b|^2 in double, of two rows of d values.
inline double squared_distance(const float* a, const float* b, Index d) {
  double sum = 0.0;
  for (Index k = 0; k < d; ++k) {
    const double difference = static_cast<double>(a[k]) - b[k];
    sum += difference * difference;
  }
  return sum;
}

}  // namespace ecseq
