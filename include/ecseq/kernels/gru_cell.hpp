#pragma once

#include "ecseq/kernels/recurrent_step.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// The weights of an attentional GRU. Its rows are [h, x, attention score, padding].
template <class Scalar>
struct AttentionalWeights : RecurrentWeights<Scalar, 3> {
  AttentionalWeights() = default;
  explicit AttentionalWeights(const RecurrentWeights<Scalar, 3>& of_gru)
      : RecurrentWeights<Scalar, 3>(of_gru) {}
  Index row_size() const { return this->padded + round_up<Scalar>(this->inputs + 1); }
};

/// GRU (Cho et al. 2014) with gates in the order reset, update, new, and the reset gate applied
/// after the hidden product, as in cuDNN and PyTorch. z weighs the old state:
///   h_t = z h_(t-1) + (1 - z) g
///
/// Attentional: AUGRU (Zhou et al. 2019, arXiv 1809.03672, section 4.3), where a score a per event
/// scales the update gate. Theirs, u, weighs the new state, so u = 1 - z and u' = a u is
///   z' = 1 - a (1 - z) = a z + (1 - a),  h_t = z' h_(t-1) + (1 - z') g
/// This sum is exactly z where a = 1; the state stays, up to rounding, where a = 0.
template <bool Attentional>
struct GatedRecurrentUnit {
  static constexpr int kGates = 3;
  static constexpr Index kCells = 0;

  /// As LstmCell::tile. With Keep, `gates` gets [new, reset, update, hidden part of new], so that
  /// the gradients of what x multiplies are the first three and of what h multiplies the last.
  template <class Scalar, int Sequences, int Blocks, bool Keep>
  static ECSEQ_INLINE void tile(const RecurrentWeights<Scalar, 3>& weights,
                                const RecurrentStep<Scalar>& step, Index block, Index n) {
    constexpr Index kWidth = kLanes<Scalar>;
    using V = Vec<Scalar>;
    const Index stride = step.row_stride, panel = weights.panel_size(), padded = weights.padded;
    const Scalar* w = weights.panels + block * panel;
    const RecurrentStart<Scalar> start = recurrent_start(weights, step, n);
    V sum[Blocks][4][Sequences];  // reset, update, new of x, new of h
#pragma GCC unroll 8
    for (int b = 0; b < Blocks; ++b) {
#pragma GCC unroll 4
      for (int gate = 0; gate < 4; ++gate) {
        const Scalar* from = start.sums + ((block + b) * 4 + gate) * kWidth;
#pragma GCC unroll 8
        for (int s = 0; s < Sequences; ++s) sum[b][gate][s] = load(from + s * start.stride);
      }
    }
    // `New`: the sum that the third gate's product goes to
    const auto accumulate = [&]<int New>(const Scalar* values, Index count) ECSEQ_LAMBDA_INLINE {
      for (Index k = 0; k < count; ++k, w += 3 * kWidth) {
        V x[Sequences];
#pragma GCC unroll 8
        for (int s = 0; s < Sequences; ++s) x[s] = broadcast(values[s * stride + k]);
#pragma GCC unroll 8
        for (int b = 0; b < Blocks; ++b) {
#pragma GCC unroll 3
          for (int gate = 0; gate < 3; ++gate) {
            const V weight = load(w + b * panel + gate * kWidth);
            const int to = gate == 2 ? New : gate;
#pragma GCC unroll 8
            for (int s = 0; s < Sequences; ++s) sum[b][to][s] = fma(weight, x[s], sum[b][to][s]);
          }
        }
      }
    };
    const Scalar* row = step.row + n * stride;
    accumulate.template operator()<2>(row + padded, start.inputs);
    w = weights.hidden_panel(block);
    accumulate.template operator()<3>(row, weights.hidden);
#pragma GCC unroll 8
    for (int b = 0; b < Blocks; ++b) {
#pragma GCC unroll 8
      for (int s = 0; s < Sequences; ++s) {
        const Index unit = (block + b) * kWidth;
        const V r = sigmoid(sum[b][0][s]), z = sigmoid(sum[b][1][s]);
        // g = tanh(W_x x_t + b_x + r (W_h h_(t-1) + b_h))
        const V g = tanh(fma(r, sum[b][3][s], sum[b][2][s]));
        const V before = load(row + s * stride + unit);
        V keep = z;
        if constexpr (Attentional) {
          const V a = broadcast(row[s * stride + padded + weights.inputs]);
          keep = fma(a, z, broadcast(Scalar(1)) - a);
        }
        store(step.hidden_out + (n + s) * step.hidden_stride + unit, fma(keep, before - g, g));
        if constexpr (Keep) {
          Scalar* gates = step.gates + (n + s) * 4 * padded + unit;
          store(gates, g);
          store(gates + padded, r);
          store(gates + 2 * padded, z);
          store(gates + 3 * padded, sum[b][3][s]);
        }
      }
    }
  }
};

struct GruCell : GatedRecurrentUnit<false> {
  template <class Scalar>
  using Weights = RecurrentWeights<Scalar, 3>;
};
struct AugruCell : GatedRecurrentUnit<true> {
  template <class Scalar>
  using Weights = AttentionalWeights<Scalar>;
};

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
