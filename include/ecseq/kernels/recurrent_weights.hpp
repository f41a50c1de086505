#pragma once

#include <algorithm>

#include "ecseq/core/matrix.hpp"
#include "ecseq/kernels/vec.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// The weights of one recurrent layer in the order the step reads them. Refers to the caller's
/// memory.
///
/// A *block* is one vector of hidden units. `panels`: [blocks][inputs + hidden][Gates][lanes],
/// rows of the inputs first; `bias`: [blocks][kBiases][lanes]. Hidden units are padded to
/// whole vectors with zero weights, which keeps the padding's state at exactly zero.
///
/// An LSTM has the 4 gates input, forget, cell, output and a bias for each. A GRU has the 3 gates
/// reset, update, new; the new gate has a bias for each of its two products, because the reset gate
/// multiplies only the hidden one: biases in the order reset, update, new of x, new of h.
template <class Scalar, int Gates>
struct RecurrentWeights {
  static constexpr int kBiases = 4;
  const Scalar* panels = nullptr;
  const Scalar* bias = nullptr;
  Index inputs = 0;
  Index hidden = 0;
  Index padded = 0;  ///< hidden rounded up to whole vectors

  Index blocks() const { return padded / kLanes<Scalar>; }
  /// Scalars from one block's panel to the next.
  Index panel_size() const { return (inputs + hidden) * Gates * kLanes<Scalar>; }
  const Scalar* hidden_panel(Index block) const {
    return panels + block * panel_size() + inputs * Gates * kLanes<Scalar>;
  }
  /// Scalars of one event's row from `project_inputs`.
  Index projected_size() const { return kBiases * padded; }
  /// Columns of the staging rows [h (padded), x (inputs), padding].
  Index row_size() const { return padded + round_up<Scalar>(inputs); }
};

/// Scalars `pack_recurrent` writes.
template <class Scalar, int Gates>
Index packed_recurrent_size(Index inputs, Index hidden) {
  return round_up<Scalar>(hidden) *
         (Gates * (inputs + hidden) + RecurrentWeights<Scalar, Gates>::kBiases);
}

/// The weights that `pack_recurrent` wrote to `memory`.
template <class Scalar, int Gates>
RecurrentWeights<Scalar, Gates> recurrent_weights_at(Index inputs, Index hidden,
                                                     const Scalar* memory) {
  RecurrentWeights<Scalar, Gates> out;
  out.inputs = inputs;
  out.hidden = hidden;
  out.padded = round_up<Scalar>(hidden);
  out.panels = memory;
  out.bias = memory + out.blocks() * out.panel_size();
  return out;
}

/// weight_input: [inputs, Gates hidden], weight_hidden: [hidden, Gates hidden],
/// bias: [1, 4 hidden], memory: [packed_recurrent_size], aligned to kVectorBytes.
template <class Scalar, int Gates>
RecurrentWeights<Scalar, Gates> pack_recurrent(MatrixView<Scalar> weight_input,
                                               MatrixView<Scalar> weight_hidden, const Scalar* bias,
                                               Scalar* memory) {
  constexpr Index kWidth = kLanes<Scalar>;
  const auto out =
      recurrent_weights_at<Scalar, Gates>(weight_input.rows, weight_hidden.rows, memory);
  Scalar* to = memory;
  const auto place = [&](const Scalar* row, int gates, Index block) {
    const Index first = block * kWidth;
    const Index count = std::min(kWidth, out.hidden - first);
    for (int gate = 0; gate < gates; ++gate, to += kWidth) {
      for (Index i = 0; i < count; ++i) to[i] = row[gate * out.hidden + first + i];
      for (Index i = count; i < kWidth; ++i) to[i] = Scalar(0);
    }
  };
  for (Index block = 0; block < out.blocks(); ++block) {
    for (Index k = 0; k < out.inputs; ++k) place(weight_input.row(k), Gates, block);
    for (Index k = 0; k < out.hidden; ++k) place(weight_hidden.row(k), Gates, block);
  }
  for (Index block = 0; block < out.blocks(); ++block) place(bias, out.kBiases, block);
  return out;
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
