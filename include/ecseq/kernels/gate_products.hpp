#pragma once

#include <algorithm>

#include "ecseq/kernels/recurrent_weights.hpp"

// The three products of a recurrent cell's backward pass, over the gradients of its gates before
// activation: dgates: [n, 4 padded], of which a product may read the columns of some gates only.

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// Weights as `input_gradient` reads them: [blocks][gates padded][lanes], where lane l of block b
/// holds W[b lanes + l, gate]. weight: [rows, gates hidden], order: [gates] which of its gates
/// stands at each place, memory: [transposed_size].
template <class Scalar>
void pack_transposed(MatrixView<Scalar> weight, Index hidden, const int* order, Scalar* memory) {
  constexpr Index kWidth = kLanes<Scalar>;
  const Index padded = round_up<Scalar>(hidden), gates = weight.cols / hidden;
  const Index size = gates * padded;
  std::fill_n(memory, round_up<Scalar>(weight.rows) * size, Scalar(0));
  for (Index row = 0; row < weight.rows; ++row) {
    Scalar* to = memory + row / kWidth * size * kWidth + row % kWidth;
    for (Index gate = 0; gate < gates; ++gate) {
      const Scalar* from = weight.row(row) + order[gate] * hidden;
      for (Index j = 0; j < hidden; ++j) to[(gate * padded + j) * kWidth] = from[j];
    }
  }
}

/// Scalars `pack_transposed` writes.
template <class Scalar>
Index transposed_size(MatrixView<Scalar> weight, Index hidden) {
  return round_up<Scalar>(weight.rows) * (weight.cols / hidden) * round_up<Scalar>(hidden);
}

namespace detail {

template <class Scalar, bool Add, int Rows, int Blocks>
ECSEQ_INLINE void input_gradient_tile(const Scalar* panel, Index size, const Scalar* dgates,
                                      Index stride, Scalar* dx, Index dx_stride) {
  using V = Vec<Scalar>;
  constexpr Index kWidth = kLanes<Scalar>;
  V sum[Blocks][Rows] = {};
  if constexpr (Add) {
#pragma GCC unroll 12
    for (int n = 0; n < Rows; ++n) {
#pragma GCC unroll 4
      for (int b = 0; b < Blocks; ++b) sum[b][n] = load(dx + n * dx_stride + b * kWidth);
    }
  }
  for (Index k = 0; k < size; ++k) {
    V w[Blocks];
#pragma GCC unroll 4
    for (int b = 0; b < Blocks; ++b) w[b] = load(panel + (b * size + k) * kWidth);
#pragma GCC unroll 12
    for (int n = 0; n < Rows; ++n) {
      const V x = broadcast(dgates[n * stride + k]);
#pragma GCC unroll 4
      for (int b = 0; b < Blocks; ++b) sum[b][n] = fma(w[b], x, sum[b][n]);
    }
  }
#pragma GCC unroll 12
  for (int n = 0; n < Rows; ++n) {
#pragma GCC unroll 4
    for (int b = 0; b < Blocks; ++b) store(dx + n * dx_stride + b * kWidth, sum[b][n]);
  }
}

template <class Scalar, bool Add, int Rows, int Blocks>
void input_gradient_rows(const Scalar* panel, Index size, Index count, const Scalar* dgates,
                         Index stride, Scalar* dx, Index dx_stride) {
  Index n = 0;
  const auto run = [&]<int R>() {
    for (; n + R <= count; n += R) {
      input_gradient_tile<Scalar, Add, R, Blocks>(panel, size, dgates + n * stride, stride,
                                                  dx + n * dx_stride, dx_stride);
    }
  };
  run.template operator()<Rows>();
  if constexpr (Rows > 4) run.template operator()<4>();
  if constexpr (Rows > 2) run.template operator()<2>();
  run.template operator()<1>();
}

/// dw[k, columns] += sum_n rows[n, k] dgates[n, columns] for `Inputs` k and `Vectors` vectors of
/// columns.
template <class Scalar, int Inputs, int Vectors>
ECSEQ_INLINE void weight_gradient_tile(Index count, const Scalar* row, Index row_stride,
                                       const Scalar* dgates, Index stride, Scalar* dw, Index size) {
  using V = Vec<Scalar>;
  constexpr Index kWidth = kLanes<Scalar>;
  V sum[Inputs][Vectors];
#pragma GCC unroll 8
  for (int k = 0; k < Inputs; ++k) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[k][v] = load(dw + k * size + v * kWidth);
  }
  for (Index n = 0; n < count; ++n, row += row_stride, dgates += stride) {
    V d[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) d[v] = load(dgates + v * kWidth);
#pragma GCC unroll 8
    for (int k = 0; k < Inputs; ++k) {
      const V x = broadcast(row[k]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[k][v] = fma(d[v], x, sum[k][v]);
    }
  }
#pragma GCC unroll 8
  for (int k = 0; k < Inputs; ++k) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) store(dw + k * size + v * kWidth, sum[k][v]);
  }
}

}  // namespace detail

/// dx = dgates W', or dx += with Add.  transposed: from pack_transposed of W with `size` =
/// gates padded; dgates: [n, stride], its first `size` columns; dx: [n, padded_inputs]
template <class Scalar, bool Add>
void input_gradient(const Scalar* transposed, Index size, Index count, const Scalar* dgates,
                    Index stride, Scalar* dx, Index padded_inputs) {
  constexpr bool kMany = kRegisters == 32;
  constexpr Index kWidth = kLanes<Scalar>;
  const Index blocks = padded_inputs / kWidth;
  Index block = 0;
  const auto run = [&]<int Rows, int Blocks>() {
    for (; block + Blocks <= blocks; block += Blocks) {
      detail::input_gradient_rows<Scalar, Add, Rows, Blocks>(transposed + block * size * kWidth,
                                                             size, count, dgates, stride,
                                                             dx + block * kWidth, padded_inputs);
    }
  };
  if constexpr (kMany) run.template operator()<6, 4>();
  run.template operator()<kMany ? 12 : 6, 2>();
  run.template operator()<kMany ? 12 : 8, 1>();
}

/// dw += rows' dgates.  rows: [n, row_stride] of which `inputs` columns count,
/// dgates: [n, stride], its first `size` columns; dw: [inputs, size], size: gates padded
template <class Scalar>
void weight_gradient(Index count, const Scalar* rows, Index row_stride, Index inputs,
                     const Scalar* dgates, Index stride, Scalar* dw, Index size) {
  constexpr bool kMany = kRegisters == 32;
  constexpr Index kWidth = kLanes<Scalar>;
  const auto columns_of = [&]<int Vectors, int Inputs>() {
    for (Index column = 0; column < size; column += Vectors * kWidth) {
      Index k = 0;
      const auto run = [&]<int I>() {
        for (; k + I <= inputs; k += I) {
          detail::weight_gradient_tile<Scalar, I, Vectors>(
              count, rows + k, row_stride, dgates + column, stride, dw + k * size + column, size);
        }
      };
      run.template operator()<Inputs>();
      if constexpr (Inputs > 3) run.template operator()<2>();
      run.template operator()<1>();
    }
  };
  // A size of 4 gates is whole groups of 4 or 2 vectors; one of 3 gates may not be.
  constexpr int kVectors = kMany ? 4 : 2;
  if (size % (kVectors * kWidth) == 0) {
    columns_of.template operator()<kVectors, 6>();
  } else {
    columns_of.template operator()<3, kMany ? 8 : 3>();
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
