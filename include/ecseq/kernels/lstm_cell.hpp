#pragma once

#include "ecseq/kernels/recurrent_step.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// LSTM with gates in the order input, forget, cell, output.
struct LstmCell {
  template <class Scalar>
  using Weights = RecurrentWeights<Scalar, 4>;
  static constexpr int kGates = 4;
  /// Vectors of state per block beside h.
  static constexpr Index kCells = 1;

  /// `Sequences` sequences from `n`, `Blocks` blocks of hidden units from `block`. Each element is
  /// computed by the same operations in the same order whatever the template arguments. With Keep,
  /// the activated gates and tanh(c) are stored.
  template <class Scalar, int Sequences, int Blocks, bool Keep>
  static ECSEQ_INLINE void tile(const Weights<Scalar>& weights, const RecurrentStep<Scalar>& step,
                                Index block, Index n) {
    constexpr Index kWidth = kLanes<Scalar>;
    using V = Vec<Scalar>;
    const Index stride = step.row_stride, panel = weights.panel_size(), padded = weights.padded;
    const Scalar* w = weights.panels + block * panel;
    const RecurrentStart<Scalar> start = recurrent_start(weights, step, n);
    V sum[Blocks][4][Sequences];
#pragma GCC unroll 8
    for (int b = 0; b < Blocks; ++b) {
#pragma GCC unroll 4
      for (int gate = 0; gate < 4; ++gate) {
        const Scalar* from = start.sums + ((block + b) * 4 + gate) * kWidth;
#pragma GCC unroll 8
        for (int s = 0; s < Sequences; ++s) sum[b][gate][s] = load(from + s * start.stride);
      }
    }
    // sum = b + W_x x_t + W_h h_(t-1)
    const auto accumulate = [&](const Scalar* values, Index count) ECSEQ_LAMBDA_INLINE {
      for (Index k = 0; k < count; ++k, w += 4 * kWidth) {
        V x[Sequences];
#pragma GCC unroll 8
        for (int s = 0; s < Sequences; ++s) x[s] = broadcast(values[s * stride + k]);
#pragma GCC unroll 8
        for (int b = 0; b < Blocks; ++b) {
#pragma GCC unroll 4
          for (int gate = 0; gate < 4; ++gate) {
            const V weight = load(w + b * panel + gate * kWidth);
#pragma GCC unroll 8
            for (int s = 0; s < Sequences; ++s) {
              sum[b][gate][s] = fma(weight, x[s], sum[b][gate][s]);
            }
          }
        }
      }
    };
    const Scalar* row = step.row + n * stride;
    accumulate(row + padded, start.inputs);
    w = weights.hidden_panel(block);
    accumulate(row, weights.hidden);
#pragma GCC unroll 8
    for (int b = 0; b < Blocks; ++b) {
#pragma GCC unroll 8
      for (int s = 0; s < Sequences; ++s) {
        const Index unit = (block + b) * kWidth;
        const Index at = (n + s) * padded + unit;
        const V i = sigmoid(sum[b][0][s]), f = sigmoid(sum[b][1][s]);
        const V g = tanh(sum[b][2][s]), o = sigmoid(sum[b][3][s]);
        // c_t = f c_(t-1) + i g,  h_t = o tanh(c_t)
        const V c = fma(f, load(step.cell_in + at), i * g);
        const V t = tanh(c);
        store(step.cell_out + at, c);
        store(step.hidden_out + (n + s) * step.hidden_stride + unit, o * t);
        if constexpr (Keep) {
          Scalar* gates = step.gates + (n + s) * 4 * padded + unit;
          store(gates, i);
          store(gates + padded, f);
          store(gates + 2 * padded, g);
          store(gates + 3 * padded, o);
          store(step.cell_tanh + at, t);
        }
      }
    }
  }
};

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
