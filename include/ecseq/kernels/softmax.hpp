#pragma once

#include <limits>

#include "ecseq/kernels/exp.hpp"
#include "ecseq/kernels/partial_vec.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// x = exp((x - shift) scale) for the first `count` of a row, 0 for the rest up to whole vectors;
/// returns their sum.  x: [round_up(count)]
template <class Scalar>
ECSEQ_INLINE Scalar exponentials(Scalar* x, Index count, Scalar shift, Scalar scale) {
  using V = Vec<Scalar>;
  constexpr Index kWidth = kLanes<Scalar>;
  const V factor = broadcast(scale), less = broadcast(shift);
  const Index whole = count / kWidth * kWidth, rest = count - whole;
  V sum{};
  for (Index j = 0; j < whole; j += kWidth) {
    const V e = exp((load(x + j) - less) * factor);
    store(x + j, e);
    sum += e;
  }
  if (rest > 0) {
    const V e = select_first<Scalar>(rest, exp((load(x + whole) - less) * factor), V{});
    store(x + whole, e);
    sum += e;
  }
  return sum_of_lanes<Scalar>(sum);
}

/// The largest of the first `count` of a row; -infinity of none.  x: [round_up(count)]
template <class Scalar>
ECSEQ_INLINE Scalar largest_of(const Scalar* x, Index count) {
  using V = Vec<Scalar>;
  constexpr Index kWidth = kLanes<Scalar>;
  const V lowest = broadcast(-std::numeric_limits<Scalar>::infinity());
  const Index whole = count / kWidth * kWidth, rest = count - whole;
  V most = lowest;
  for (Index j = 0; j < whole; j += kWidth) {
    const V v = load(x + j);
    most = v > most ? v : most;
  }
  if (rest > 0) {
    const V v = select_first<Scalar>(rest, load(x + whole), lowest);
    most = v > most ? v : most;
  }
  return max_of_lanes<Scalar>(most);
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
