#pragma once

#include <algorithm>

#include "ecseq/kernels/lstm_weights.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// Where one time step of several sequences reads and writes. Row n of each array belongs to
/// sequence n; strides are in scalars.
template <class Scalar>
struct LstmStep {
  const Scalar* row = nullptr;  ///< [n, row_stride] rows [h of the step before, x]
  Index row_stride = 0;
  const Scalar* cell_in = nullptr;  ///< [n, padded]
  Scalar* cell_out = nullptr;       ///< [n, padded]; may be cell_in
  Scalar* hidden_out = nullptr;     ///< [n, hidden_stride]; must not be `row`
  Index hidden_stride = 0;
  Scalar* gates = nullptr;      ///< [n, 4 padded] activated gates, kept for the backward pass
  Scalar* cell_tanh = nullptr;  ///< [n, padded], likewise
};

namespace detail {

/// Sequences whose gates stay in registers at a time: 4 gates each, a panel row, a broadcast.
inline constexpr int kLstmSequences = kRegisters == 32 ? 6 : 3;

/// `Sequences` sequences from `n`, `Blocks` blocks of hidden units from `block`. Each element is
/// computed by the same operations in the same order whatever the template arguments.
template <class Scalar, int Sequences, int Blocks, bool Keep>
ECSEQ_INLINE void lstm_cell(const LstmWeights<Scalar>& weights, const LstmStep<Scalar>& step,
                            Index block, Index n) {
  constexpr Index kWidth = kLanes<Scalar>;
  using V = Vec<Scalar>;
  const Index stride = step.row_stride, panel = weights.panel_size(), padded = weights.padded;
  const Scalar* w = weights.panels + block * panel;
  V sum[Blocks][4][Sequences];
#pragma GCC unroll 8
  for (int b = 0; b < Blocks; ++b) {
#pragma GCC unroll 4
    for (int gate = 0; gate < 4; ++gate) {
      const V start = load(weights.bias + ((block + b) * 4 + gate) * kWidth);
#pragma GCC unroll 8
      for (int s = 0; s < Sequences; ++s) sum[b][gate][s] = start;
    }
  }
  // sum = b + W_h h_(t-1) + W_x x_t
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
  accumulate(row, weights.hidden);
  accumulate(row + padded, weights.inputs);
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

template <class Scalar, bool Keep>
void lstm_sequences(const LstmWeights<Scalar>& weights, const LstmStep<Scalar>& step, Index block,
                    Index n, Index count) {
  switch (count) {
    case 1:
      return lstm_cell<Scalar, 1, 1, Keep>(weights, step, block, n);
    case 2:
      return lstm_cell<Scalar, 2, 1, Keep>(weights, step, block, n);
    case 3:
      return lstm_cell<Scalar, 3, 1, Keep>(weights, step, block, n);
    default:
      break;
  }
  if constexpr (kLstmSequences == 6) {
    switch (count) {
      case 4:
        return lstm_cell<Scalar, 4, 1, Keep>(weights, step, block, n);
      case 5:
        return lstm_cell<Scalar, 5, 1, Keep>(weights, step, block, n);
      default:
        return lstm_cell<Scalar, 6, 1, Keep>(weights, step, block, n);
    }
  }
}

/// Few sequences alone would wait for each product's latency: several blocks go together.
template <class Scalar, int Sequences, int Blocks, bool Keep>
void lstm_few(const LstmWeights<Scalar>& weights, const LstmStep<Scalar>& step) {
  Index block = 0;
  for (; block + Blocks <= weights.blocks(); block += Blocks) {
    lstm_cell<Scalar, Sequences, Blocks, Keep>(weights, step, block, 0);
  }
  for (; block < weights.blocks(); ++block) {
    lstm_cell<Scalar, Sequences, 1, Keep>(weights, step, block, 0);
  }
}

}  // namespace detail

/// One time step of `count` sequences. With Keep, what the backward pass needs is stored.
template <class Scalar, bool Keep>
void lstm_step(const LstmWeights<Scalar>& weights, const LstmStep<Scalar>& step, Index count) {
  constexpr bool kMany = kRegisters == 32;
  if (count == 1) return detail::lstm_few < Scalar, 1, kMany ? 4 : 2, Keep > (weights, step);
  if (count == 2 && kMany) return detail::lstm_few<Scalar, 2, 2, Keep>(weights, step);
  if (count == 3 && kMany) return detail::lstm_few<Scalar, 3, 2, Keep>(weights, step);
  // Widths as even as can be: 7 = 4 + 3 keeps the pipeline fuller than 6 + 1.
  const Index groups = (count + detail::kLstmSequences - 1) / detail::kLstmSequences;
  for (Index block = 0; block < weights.blocks(); ++block) {
    for (Index group = 0; group < groups; ++group) {
      const Index n = group * count / groups;
      const Index next = (group + 1) * count / groups;
      detail::lstm_sequences<Scalar, Keep>(weights, step, block, n, next - n);
    }
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
