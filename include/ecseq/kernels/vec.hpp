#pragma once

// Explicit vectors (GCC/Clang vector extensions), as wide as the instruction set this
// translation unit is compiled for. One source serves AVX-512, AVX2 and baseline x86-64; a
// whole variant of the library is built per level, never single files, because mixed -m flags
// let the linker keep the wrong copy of an inline function.

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define ECSEQ_INLINE inline __attribute__((always_inline))

namespace ecseq::kernels {

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

/// tanh as a ratio of polynomials (odd degree 13 over even degree 6, clamped where float tanh
/// is 1 to the last bit); absolute error below 5e-7.
ECSEQ_INLINE Vec<float> tanh(Vec<float> x) {
  const Vec<float> bound = broadcast(7.90531110763549805f);
  x = min(max(x, -bound), bound);
  const Vec<float> x2 = x * x;
  Vec<float> p = x2 * -2.76076847742355e-16f + 2.00018790482477e-13f;
  p = x2 * p + -8.60467152213735e-11f;
  p = x2 * p + 5.12229709037114e-08f;
  p = x2 * p + 1.48572235717979e-05f;
  p = x2 * p + 6.37261928875436e-04f;
  p = x2 * p + 4.89352455891786e-03f;
  Vec<float> q = x2 * 1.19825839466702e-06f + 1.18534705686654e-04f;
  q = x2 * q + 2.26843463243900e-03f;
  q = x2 * q + 4.89352518554385e-03f;
  return x * p / q;
}

/// Gradients are checked in double: lane by lane through the C library.
ECSEQ_INLINE Vec<double> tanh(Vec<double> x) {
  for (int lane = 0; lane < kLanes<double>; ++lane) x[lane] = std::tanh(x[lane]);
  return x;
}

/// 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2
template <class V>
ECSEQ_INLINE V sigmoid(V x) {
  return tanh(x * 0.5f) * 0.5f + 0.5f;
}

}  // namespace ecseq::kernels
