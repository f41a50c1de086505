#pragma once

#include <cmath>

#include "ecseq/core/matrix.hpp"

namespace ecseq::autograd {

/// log sum_c exp(z_c) = m + log sum_c exp(z_c - m) with m = max z: exp cannot overflow. A plain
/// loop: Eigen's order of summation depends on where a row lies in memory.  z: [count], count > 0
template <class Scalar>
Scalar log_sum_exp(const Scalar* z, Index count) {
  Scalar largest = z[0], sum = 0;
  for (Index c = 1; c < count; ++c) largest = z[c] > largest ? z[c] : largest;
  for (Index c = 0; c < count; ++c) sum += std::exp(z[c] - largest);
  return largest + std::log(sum);
}

}  // namespace ecseq::autograd
