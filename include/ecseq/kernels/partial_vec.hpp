#pragma once

#include <limits>

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

/// Sum of the lanes, always in the same order: halves onto each other.
template <class Scalar>
ECSEQ_INLINE Scalar sum_of_lanes(Vec<Scalar> v) {
  Scalar lane[kLanes<Scalar>];
  store(lane, v);
  for (int half = kLanes<Scalar> / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  return lane[0];
}

template <class Scalar>
ECSEQ_INLINE Scalar max_of_lanes(Vec<Scalar> v) {
  Scalar lane[kLanes<Scalar>];
  store(lane, v);
  for (int half = kLanes<Scalar> / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lane[l] = lane[l] > lane[l + half] ? lane[l] : lane[l + half];
  }
  return lane[0];
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
