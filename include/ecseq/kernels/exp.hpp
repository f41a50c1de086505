#pragma once

#include "ecseq/kernels/vec.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// exp(x) = 2^n exp(r) with n = x / ln 2 rounded and |r| <= ln 2 / 2, where exp(r) = 1 + r + r^2
/// times a polynomial of degree 4; relative error below 2e-7 where the result is an ordinary
/// number. An exact 0 below the smallest number, infinity above the largest, NaN of NaN.
ECSEQ_INLINE Vec<float> exp(Vec<float> x) {
  x = min(broadcast(89.0f), max(broadcast(-104.0f), x));
  // Adding 1.5 2^23 leaves no bits for a fraction: the sum's last bits are n.
  const Vec<float> shift = broadcast(12582912.0f);
  const Vec<float> shifted = fma(x, broadcast(1.44269504f), shift);
  const Vec<float> n = shifted - shift;
  // ln 2 in two parts; n times the first one is exact.
  const Vec<float> r = fma(n, broadcast(2.12194440e-4f), fma(n, broadcast(-0.693359375f), x));
  Vec<float> p = fma(r, broadcast(1.38145964e-3f), broadcast(8.36871709e-3f));
  p = fma(r, p, broadcast(4.16683881e-2f));
  p = fma(r, p, broadcast(1.66665206e-1f));
  p = fma(r, p, broadcast(4.99999934e-1f));
  p = fma(r * r, p, r) + broadcast(1.0f);
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  // In two factors, because 2^n alone may leave the range of numbers where 2^n exp(r) does not.
  const IntVec<float> power = (IntVec<float>)shifted - (IntVec<float>)shift;
  const IntVec<float> half = power >> 1;
  return p * (Vec<float>)((half + 127) << 23) * (Vec<float>)((power - half + 127) << 23);
#endif
}

/// Gradients are checked in double: lane by lane through the C library.
ECSEQ_INLINE Vec<double> exp(Vec<double> x) {
  for (int lane = 0; lane < kLanes<double>; ++lane) x[lane] = std::exp(x[lane]);
  return x;
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
