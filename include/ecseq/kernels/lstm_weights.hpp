#pragma once

#include <algorithm>

#include "ecseq/core/matrix.hpp"
#include "ecseq/kernels/vec.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// The weights of one LSTM layer in the order the step reads them. Refers to the caller's memory.
///
/// A *block* is one vector of hidden units. `panels`: [blocks][hidden + inputs][4 gates][lanes],
/// rows of the hidden state first; `bias`: [blocks][4][lanes]. Hidden units are padded to whole
/// vectors with zero weights, which keeps the padding's state at exactly zero. Gates in the order
/// input, forget, cell, output.
template <class Scalar>
struct LstmWeights {
  const Scalar* panels = nullptr;
  const Scalar* bias = nullptr;
  Index inputs = 0;
  Index hidden = 0;
  Index padded = 0;  ///< hidden rounded up to whole vectors

  Index blocks() const { return padded / kLanes<Scalar>; }
  /// Scalars from one block's panel to the next.
  Index panel_size() const { return (hidden + inputs) * 4 * kLanes<Scalar>; }
  /// Columns of the staging rows [h (padded), x (inputs), padding].
  Index row_size() const { return padded + round_up<Scalar>(inputs); }
};

/// Scalars `pack_lstm` writes.
template <class Scalar>
Index packed_lstm_size(Index inputs, Index hidden) {
  return round_up<Scalar>(hidden) * 4 * (inputs + hidden + 1);
}

/// The weights that `pack_lstm` wrote to `memory`.
template <class Scalar>
LstmWeights<Scalar> lstm_weights_at(Index inputs, Index hidden, const Scalar* memory) {
  LstmWeights<Scalar> out;
  out.inputs = inputs;
  out.hidden = hidden;
  out.padded = round_up<Scalar>(hidden);
  out.panels = memory;
  out.bias = memory + out.blocks() * out.panel_size();
  return out;
}

/// weight_input: [inputs, 4 hidden], weight_hidden: [hidden, 4 hidden], bias: [1, 4 hidden],
/// memory: [packed_lstm_size], aligned to kVectorBytes.
template <class Scalar>
LstmWeights<Scalar> pack_lstm(MatrixView<Scalar> weight_input, MatrixView<Scalar> weight_hidden,
                              const Scalar* bias, Scalar* memory) {
  constexpr Index kWidth = kLanes<Scalar>;
  const auto out = lstm_weights_at<Scalar>(weight_input.rows, weight_hidden.rows, memory);
  const auto place = [&](const Scalar* row, Index block, Scalar* to) {
    const Index first = block * kWidth;
    const Index count = std::min(kWidth, out.hidden - first);
    for (Index gate = 0; gate < 4; ++gate, to += kWidth) {
      for (Index i = 0; i < count; ++i) to[i] = row[gate * out.hidden + first + i];
      for (Index i = count; i < kWidth; ++i) to[i] = Scalar(0);
    }
  };
  Scalar* to = memory;
  for (Index block = 0; block < out.blocks(); ++block) {
    for (Index k = 0; k < out.hidden; ++k, to += 4 * kWidth) place(weight_hidden.row(k), block, to);
    for (Index k = 0; k < out.inputs; ++k, to += 4 * kWidth) place(weight_input.row(k), block, to);
  }
  for (Index block = 0; block < out.blocks(); ++block, to += 4 * kWidth) place(bias, block, to);
  return out;
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
