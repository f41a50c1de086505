#pragma once

// Explicit vectors (GCC/Clang vector extensions), as wide as the instruction set this
// translation unit is compiled for. One source serves AVX-512, AVX2 and baseline x86-64; a
// whole variant of the library is built per level, never single files, because mixed -m flags
// let the linker keep the wrong copy of an inline function.

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) || defined(__FMA__)
#include <immintrin.h>
#endif

#define ECSEQ_INLINE inline __attribute__((always_inline))
#define ECSEQ_LAMBDA_INLINE __attribute__((always_inline))

// Part of the name of everything whose code or layout depends on the instruction set: a library
// and a program compiled for different ones do not take each other's copy of a kernel.
#if defined(__AVX512F__)
#define ECSEQ_LEVEL avx512
#elif defined(__FMA__)
#define ECSEQ_LEVEL fma3
#elif defined(__AVX__)
#define ECSEQ_LEVEL avx
#else
#define ECSEQ_LEVEL baseline
#endif

namespace ecseq::kernels::inline ECSEQ_LEVEL {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
inline constexpr int kRegisters = 32;
#elif defined(__AVX__)
inline constexpr int kVectorBytes = 32;
inline constexpr int kRegisters = 16;
#else
inline constexpr int kVectorBytes = 16;
inline constexpr int kRegisters = 16;
#endif

template <class Scalar>
struct VecTypes;
template <>
struct VecTypes<float> {
  typedef float Value __attribute__((vector_size(kVectorBytes)));
  typedef float Unaligned __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
  typedef std::int32_t Integer __attribute__((vector_size(kVectorBytes)));
};
template <>
struct VecTypes<double> {
  typedef double Value __attribute__((vector_size(kVectorBytes)));
  typedef double Unaligned __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
  typedef std::int64_t Integer __attribute__((vector_size(kVectorBytes)));
};

template <class Scalar>
using Vec = typename VecTypes<Scalar>::Value;
template <class Scalar>
using IntVec = typename VecTypes<Scalar>::Integer;

/// Elements of one vector.
template <class Scalar>
inline constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(Scalar));

/// n rounded up to whole vectors.
template <class Scalar>
constexpr std::int64_t round_up(std::int64_t n) {
  return (n + kLanes<Scalar> - 1) / kLanes<Scalar> * kLanes<Scalar>;
}

template <class Scalar>
ECSEQ_INLINE Vec<Scalar> load(const Scalar* p) {
  return *reinterpret_cast<const typename VecTypes<Scalar>::Unaligned*>(p);
}
template <class Scalar>
ECSEQ_INLINE void store(Scalar* p, Vec<Scalar> v) {
  *reinterpret_cast<typename VecTypes<Scalar>::Unaligned*>(p) = v;
}
/// All lanes = x. Written as a subtraction because `Vec{} + x` is not folded (signed zero).
template <class Scalar>
ECSEQ_INLINE Vec<Scalar> broadcast(Scalar x) {
  return x - Vec<Scalar>{};
}

/// a b + c, rounded once where the instruction set can. Written out, because which of several
/// products the compiler contracts may differ between two instances of one template, and a
/// sequence's result must not depend on which of them computed it.
ECSEQ_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}
ECSEQ_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
#if defined(__AVX512F__)
  return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
  return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
  return a * b + c;
#endif
}

/// Where an element of a or b is NaN, min and max give the element of b.
ECSEQ_INLINE Vec<float> min(Vec<float> a, Vec<float> b) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_min_ps((__m512)a, (__m512)b);
#else
  return a < b ? a : b;
#endif
}
ECSEQ_INLINE Vec<float> max(Vec<float> a, Vec<float> b) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_max_ps((__m512)a, (__m512)b);
#else
  return a > b ? a : b;
#endif
}

/// p / q for ordinary q (no zero, denormal or infinity); within two units in the last place.
ECSEQ_INLINE Vec<float> divide(Vec<float> p, Vec<float> q) {
#if defined(__AVX512F__)
  // 14 bits of 1 / q, then one Newton step r (2 - q r): a third of the division's time.
  const Vec<float> r = (Vec<float>)_mm512_rcp14_ps((__m512)q);
  return p * (r * fma(-q, r, broadcast(2.0f)));
#else
  return p / q;
#endif
}

/// tanh as a ratio of polynomials (odd degree 13 over even degree 6, clamped where float tanh
/// is 1 to the last bit); absolute error below 5e-7. NaN stays NaN.
ECSEQ_INLINE Vec<float> tanh(Vec<float> x) {
  const Vec<float> bound = broadcast(7.90531110763549805f);
  x = min(bound, max(-bound, x));
  const Vec<float> x2 = x * x;
  Vec<float> p = fma(x2, broadcast(-2.76076847742355e-16f), broadcast(2.00018790482477e-13f));
  p = fma(x2, p, broadcast(-8.60467152213735e-11f));
  p = fma(x2, p, broadcast(5.12229709037114e-08f));
  p = fma(x2, p, broadcast(1.48572235717979e-05f));
  p = fma(x2, p, broadcast(6.37261928875436e-04f));
  p = fma(x2, p, broadcast(4.89352455891786e-03f));
  Vec<float> q = fma(x2, broadcast(1.19825839466702e-06f), broadcast(1.18534705686654e-04f));
  q = fma(x2, q, broadcast(2.26843463243900e-03f));
  q = fma(x2, q, broadcast(4.89352518554385e-03f));
  return divide(x * p, q);
}

/// Gradients are checked in double: lane by lane through the C library.
ECSEQ_INLINE Vec<double> tanh(Vec<double> x) {
  for (int lane = 0; lane < kLanes<double>; ++lane) x[lane] = std::tanh(x[lane]);
  return x;
}

/// 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2
ECSEQ_INLINE Vec<float> sigmoid(Vec<float> x) {
  const Vec<float> half = broadcast(0.5f);
  return fma(tanh(x * half), half, half);
}
ECSEQ_INLINE Vec<double> sigmoid(Vec<double> x) {
  const Vec<double> half = broadcast(0.5);
  return fma(tanh(x * half), half, half);
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
