#pragma once

#include "ecseq/kernels/exp.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// Of the standard normal distribution at x.
template <class Scalar>
struct Normal {
  Vec<Scalar> distribution;  ///< Phi(x) = (1 + erf(x / sqrt(2))) / 2
  Vec<Scalar> density;       ///< phi(x) = exp(-x^2 / 2) / sqrt(2 pi)
};

/// Phi(-|x|) = exp(-x^2 / 2) times a polynomial of degree 8 in u = 1 / (1 + 0.4 |x| / sqrt(2)),
/// the form of Abramowitz and Stegun 7.1.26; absolute error of Phi below 3e-7. Both share one exp.
ECSEQ_INLINE Normal<float> normal(Vec<float> x) {
  const Vec<float> one = broadcast(1.0f);
  const Vec<float> e = exp(x * x * broadcast(-0.5f));
  const Vec<float> magnitude = x < 0.0f ? -x : x;
  const Vec<float> u =
      divide(one, fma(min(broadcast(1e6f), magnitude), broadcast(0.28284271f), one));
  Vec<float> p = fma(u, broadcast(0.0361530087f), broadcast(-0.194335066f));
  p = fma(u, p, broadcast(0.340736565f));
  p = fma(u, p, broadcast(-0.191609113f));
  p = fma(u, p, broadcast(0.212808867f));
  p = fma(u, p, broadcast(0.0635533096f));
  p = fma(u, p, broadcast(0.120667058f));
  p = fma(u, p, broadcast(0.111985638f));
  p = fma(u, p, broadcast(3.9682476e-5f));
  return {x < 0.0f ? e * p : fma(-e, p, one), e * broadcast(0.39894228f)};
}

/// Gradients are checked in double: lane by lane through the C library.
ECSEQ_INLINE Normal<double> normal(Vec<double> x) {
  Normal<double> out;
  for (int lane = 0; lane < kLanes<double>; ++lane) {
    out.distribution[lane] = 0.5 * (1.0 + std::erf(x[lane] * 0.70710678118654752));
    out.density[lane] = 0.39894228040143268 * std::exp(-0.5 * x[lane] * x[lane]);
  }
  return out;
}

/// x Phi(x) (Hendrycks and Gimpel 2016, the exact form)
template <class Scalar>
ECSEQ_INLINE Vec<Scalar> gelu(Vec<Scalar> x) {
  return x * normal(x).distribution;
}

/// d gelu / dx = Phi(x) + x phi(x)
template <class Scalar>
ECSEQ_INLINE Vec<Scalar> gelu_slope(Vec<Scalar> x) {
  const Normal<Scalar> n = normal(x);
  return fma(x, n.density, n.distribution);
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
