#pragma once

#include <algorithm>

#include "ecseq/kernels/lstm_weights.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// The hidden weights as the backward pass reads them: [blocks][4 padded][lanes], where lane l
/// of block b holds W_h[b lanes + l, gate]. memory: [padded * 4 padded].
template <class Scalar>
void pack_lstm_transposed(MatrixView<Scalar> weight_hidden, Index padded, Scalar* memory) {
  constexpr Index kWidth = kLanes<Scalar>;
  const Index hidden = weight_hidden.rows;
  std::fill_n(memory, padded * 4 * padded, Scalar(0));
  for (Index unit = 0; unit < hidden; ++unit) {
    Scalar* to = memory + unit / kWidth * 4 * padded * kWidth + unit % kWidth;
    for (Index gate = 0; gate < 4; ++gate) {
      const Scalar* from = weight_hidden.row(unit) + gate * hidden;
      for (Index j = 0; j < hidden; ++j) to[(gate * padded + j) * kWidth] = from[j];
    }
  }
}

/// From the gradient of h_t and c_t to that of the gates before activation, in place of the
/// activated gates, and to that of c_(t-1), in place of c_t's.
/// gates: [n, 4 padded], cell_tanh, cell_before, dh, dc: [n, padded], dbias: [4 padded]
template <class Scalar>
void lstm_gate_gradients(Index count, Index padded, Scalar* gates, const Scalar* cell_tanh,
                         const Scalar* cell_before, const Scalar* dh, Scalar* dc, Scalar* dbias) {
  using V = Vec<Scalar>;
  const V one = broadcast(Scalar(1));
  for (Index unit = 0; unit < padded; unit += kLanes<Scalar>) {
    V sum[4];
    for (int gate = 0; gate < 4; ++gate) sum[gate] = load(dbias + gate * padded + unit);
    for (Index n = 0; n < count; ++n) {
      Scalar* gate = gates + n * 4 * padded + unit;
      const Index at = n * padded + unit;
      const V i = load(gate), f = load(gate + padded), g = load(gate + 2 * padded);
      const V o = load(gate + 3 * padded), t = load(cell_tanh + at), dh_n = load(dh + at);
      // h = o tanh(c):  dc += dh o (1 - tanh(c)^2)
      const V dc_n = load(dc + at) + dh_n * o * (one - t * t);
      // c = f c_before + i g, through sigmoid' = s (1 - s) and tanh' = 1 - t^2
      const V di = dc_n * g * i * (one - i);
      const V df = dc_n * load(cell_before + at) * f * (one - f);
      const V dg = dc_n * i * (one - g * g);
      const V d_o = dh_n * t * o * (one - o);
      store(gate, di);
      store(gate + padded, df);
      store(gate + 2 * padded, dg);
      store(gate + 3 * padded, d_o);
      store(dc + at, dc_n * f);
      sum[0] += di;
      sum[1] += df;
      sum[2] += dg;
      sum[3] += d_o;
    }
    for (int gate = 0; gate < 4; ++gate) store(dbias + gate * padded + unit, sum[gate]);
  }
}

namespace detail {

template <class Scalar, int Rows, int Blocks>
ECSEQ_INLINE void hidden_gradient_tile(const Scalar* panel, Index padded, const Scalar* dgates,
                                       Scalar* dh) {
  using V = Vec<Scalar>;
  constexpr Index kWidth = kLanes<Scalar>;
  const Index size = 4 * padded;
  V sum[Blocks][Rows] = {};
  for (Index k = 0; k < size; ++k) {
    V w[Blocks];
#pragma GCC unroll 4
    for (int b = 0; b < Blocks; ++b) w[b] = load(panel + (b * size + k) * kWidth);
#pragma GCC unroll 12
    for (int n = 0; n < Rows; ++n) {
      const V x = broadcast(dgates[n * size + k]);
#pragma GCC unroll 4
      for (int b = 0; b < Blocks; ++b) sum[b][n] = fma(w[b], x, sum[b][n]);
    }
  }
#pragma GCC unroll 12
  for (int n = 0; n < Rows; ++n) {
#pragma GCC unroll 4
    for (int b = 0; b < Blocks; ++b) store(dh + n * padded + b * kWidth, sum[b][n]);
  }
}

template <class Scalar, int Rows, int Blocks>
void hidden_gradient_rows(const Scalar* panel, Index padded, Index count, const Scalar* dgates,
                          Scalar* dh) {
  Index n = 0;
  const auto run = [&]<int R>() {
    for (; n + R <= count; n += R) {
      hidden_gradient_tile<Scalar, R, Blocks>(panel, padded, dgates + n * 4 * padded,
                                              dh + n * padded);
    }
  };
  run.template operator()<Rows>();
  if constexpr (Rows > 4) run.template operator()<4>();
  if constexpr (Rows > 2) run.template operator()<2>();
  run.template operator()<1>();
}

/// dw[k, columns] += sum_n rows[n, k] dgates[n, columns] for `Inputs` k and `Vectors` vectors of
/// columns, over several runs of rows.
template <class Scalar, int Inputs, int Vectors>
ECSEQ_INLINE void weight_gradient_tile(Index count, const Scalar* row, Index row_stride,
                                       const Scalar* dgates, Index size, Scalar* dw) {
  using V = Vec<Scalar>;
  constexpr Index kWidth = kLanes<Scalar>;
  V sum[Inputs][Vectors];
#pragma GCC unroll 8
  for (int k = 0; k < Inputs; ++k) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[k][v] = load(dw + k * size + v * kWidth);
  }
  for (Index n = 0; n < count; ++n, row += row_stride, dgates += size) {
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

/// dh = dgates W_h'.  transposed: from pack_lstm_transposed, dgates: [n, 4 padded],
/// dh: [n, padded]
template <class Scalar>
void lstm_hidden_gradient(const Scalar* transposed, Index padded, Index count, const Scalar* dgates,
                          Scalar* dh) {
  constexpr bool kMany = kRegisters == 32;
  constexpr Index kWidth = kLanes<Scalar>;
  const Index blocks = padded / kWidth;
  Index block = 0;
  const auto run = [&]<int Rows, int Blocks>() {
    for (; block + Blocks <= blocks; block += Blocks) {
      detail::hidden_gradient_rows<Scalar, Rows, Blocks>(
          transposed + block * 4 * padded * kWidth, padded, count, dgates, dh + block * kWidth);
    }
  };
  if constexpr (kMany) run.template operator()<6, 4>();
  run.template operator()<kMany ? 12 : 6, 2>();
  run.template operator()<kMany ? 12 : 8, 1>();
}

/// dw += rows' dgates.  rows: [n, row_stride] of which `inputs` columns count,
/// dgates: [n, 4 padded], dw: [inputs, 4 padded]
template <class Scalar>
void lstm_weight_gradient(Index count, const Scalar* rows, Index row_stride, Index inputs,
                          const Scalar* dgates, Index padded, Scalar* dw) {
  constexpr bool kMany = kRegisters == 32;
  constexpr int kVectors = kMany ? 4 : 2, kInputs = 6;
  const Index size = 4 * padded;
  for (Index column = 0; column < size; column += kVectors * kLanes<Scalar>) {
    Index k = 0;
    const auto run = [&]<int Inputs>() {
      for (; k + Inputs <= inputs; k += Inputs) {
        detail::weight_gradient_tile<Scalar, Inputs, kVectors>(
            count, rows + k, row_stride, dgates + column, size, dw + k * size + column);
      }
    };
    run.template operator()<kInputs>();
    run.template operator()<2>();
    run.template operator()<1>();
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
