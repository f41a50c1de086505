#pragma once

#include "ecseq/core/matrix.hpp"
#include "ecseq/kernels/vec.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// Whether no number is infinite or NaN: those times zero are NaN, and stay so in a sum. x: [n]
inline bool all_finite(const float* x, Index n) {
  constexpr Index kWidth = kLanes<float>;
  const Vec<float> zero = broadcast(0.0F);
  Vec<float> sum = zero;
  Index i = 0;
  for (; i + kWidth <= n; i += kWidth) sum += load(x + i) * zero;
  float total = 0.0F;
  for (; i < n; ++i) total += x[i] * 0.0F;
  for (int lane = 0; lane < kLanes<float>; ++lane) total += sum[lane];
  return total == 0.0F;
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
