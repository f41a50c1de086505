#pragma once

#include <type_traits>

#include "ecseq/core/matrix.hpp"
#include "ecseq/kernels/vec.hpp"

// The end of a row whose length is no multiple of the vector, and sums over lanes.

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// Lane l is `a` where l < count, else `b`.
template <class Scalar>
ECSEQ_INLINE Vec<Scalar> select_first(Index count, Vec<Scalar> a, Vec<Scalar> b) {
  using Integer = IntVec<Scalar>;
  Integer lane;
  for (int l = 0; l < kLanes<Scalar>; ++l) lane[l] = l;
  const Integer end = Integer{} + static_cast<decltype(lane[0] + 0)>(count);
  return lane < end ? a : b;
}

/// The first `count` lanes from p, zeros after; nothing behind them is read. count <= kLanes
template <class Scalar>
ECSEQ_INLINE Vec<Scalar> load_first(const Scalar* p, Index count) {
  if (count == kLanes<Scalar>) return load(p);
  Vec<Scalar> v{};
  std::memcpy(&v, p, static_cast<std::size_t>(count) * sizeof(Scalar));
  return v;
}

/// Writes the first `count` lanes only. count <= kLanes
template <class Scalar>
ECSEQ_INLINE void store_first(Scalar* p, Vec<Scalar> v, Index count) {
  if (count == kLanes<Scalar>) return store(p, v);
  std::memcpy(p, &v, static_cast<std::size_t>(count) * sizeof(Scalar));
}

/// Adds the first `count` lanes to what is there.
template <class Scalar>
ECSEQ_INLINE void add_first(Scalar* p, Vec<Scalar> v, Index count) {
  store_first<Scalar>(p, load_first(p, count) + v, count);
}

/// body(first, count) for the whole vectors of a row of `size`, then for what is left.
template <class Scalar, class Body>
ECSEQ_INLINE void for_each_vector(Index size, const Body& body) {
  constexpr Index kWidth = kLanes<Scalar>;
  for (Index i = 0; i < size; i += kWidth) body(i, i + kWidth <= size ? kWidth : size - i);
}

namespace detail {

/// Halves of the vector onto each other until one element is left, in this order at every level.
template <class Scalar, class Combine>
ECSEQ_INLINE Scalar fold_lanes(Vec<Scalar> v, const Combine& combine) {
#if defined(__FMA__)
  if constexpr (std::is_same_v<Scalar, float>) {
#if defined(__AVX512F__)
    const auto high = (__m256)_mm512_extractf64x4_pd((__m512d)v, 1);
    const __m256 eight = combine(_mm512_castps512_ps256((__m512)v), high);
#else
    const auto eight = (__m256)v;
#endif
    const __m128 four = combine(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = combine(four, _mm_movehl_ps(four, four));
    return combine(two[0], two[1]);
  }
#endif
  Scalar lane[kLanes<Scalar>];
  store(lane, v);
  for (int half = kLanes<Scalar> / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lane[l] = combine(lane[l], lane[l + half]);
  }
  return lane[0];
}

}  // namespace detail

template <class Scalar>
ECSEQ_INLINE Scalar sum_of_lanes(Vec<Scalar> v) {
  const auto add = [](auto a, auto b) ECSEQ_LAMBDA_INLINE { return a + b; };
  return detail::fold_lanes<Scalar>(v, add);
}

template <class Scalar>
ECSEQ_INLINE Scalar max_of_lanes(Vec<Scalar> v) {
  const auto larger = [](auto a, auto b) ECSEQ_LAMBDA_INLINE { return a > b ? a : b; };
  return detail::fold_lanes<Scalar>(v, larger);
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
