#pragma once

#include <cmath>

#include "ecseq/kernels/partial_vec.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// z = (x - mean(x)) / sqrt(variance(x) + epsilon) over one row (Ba, Kiros and Hinton 2016);
/// emit(column, count, z) gets a vector of which `count` lanes are the row's. Returns 1 /
/// sqrt(...). x: [cols]
template <class Scalar, class Emit>
ECSEQ_INLINE Scalar normalise_row(const Scalar* x, Index cols, Scalar epsilon, const Emit& emit) {
  using V = Vec<Scalar>;
  constexpr Index kWidth = kLanes<Scalar>;
  const Index whole = cols / kWidth * kWidth, rest = cols - whole;
  V sum{}, squares{};
  for (Index j = 0; j < whole; j += kWidth) sum += load(x + j);
  if (rest > 0) sum += load_first(x + whole, rest);
  const Scalar mean = sum_of_lanes<Scalar>(sum) / static_cast<Scalar>(cols);
  const V centre = broadcast(mean);
  for (Index j = 0; j < whole; j += kWidth) {
    const V d = load(x + j) - centre;
    squares = fma(d, d, squares);
  }
  if (rest > 0) {
    const V d = select_first<Scalar>(rest, load_first(x + whole, rest) - centre, V{});
    squares = fma(d, d, squares);
  }
  const Scalar variance = sum_of_lanes<Scalar>(squares) / static_cast<Scalar>(cols);
  const Scalar inverse = Scalar(1) / std::sqrt(variance + epsilon);
  const V scale = broadcast(inverse);
  for (Index j = 0; j < whole; j += kWidth) emit(j, kWidth, (load(x + j) - centre) * scale);
  if (rest > 0) emit(whole, rest, (load_first(x + whole, rest) - centre) * scale);
  return inverse;
}

/// y = gain z + bias for each row, z as above.  x: [rows, stride], of which `cols` columns count,
/// y: likewise, may be x; gain, bias: [cols]
template <class Scalar>
void layer_norm(const Scalar* x, Index rows, Index cols, Index stride, const Scalar* gain,
                const Scalar* bias, Scalar epsilon, Scalar* y) {
  for (Index i = 0; i < rows; ++i) {
    Scalar* out = y + i * stride;
    normalise_row(x + i * stride, cols, epsilon, [&](Index j, Index count, Vec<Scalar> z) {
      store_first<Scalar>(out + j, fma(load_first(gain + j, count), z, load_first(bias + j, count)),
                          count);
    });
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
