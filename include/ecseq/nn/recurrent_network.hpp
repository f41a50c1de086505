#pragma once

#include <span>

#include "ecseq/autograd/operations/concat_columns.hpp"
#include "ecseq/autograd/operations/dropout.hpp"
#include "ecseq/nn/recurrent_layer.hpp"

namespace ecseq::nn::inline ECSEQ_LEVEL {

/// Layers of one cell on top of each other. Bidirectional: each layer reads the sequence in both
/// directions with a cell each and gives both states side by side, the forward one first.
/// `dropout` is the share of elements dropped between layers.
struct RecurrentShape {
  bool bidirectional = false;
  double dropout = 0.0;
};

/// cells: [layers] or, bidirectional, [2 layers]: forward and backward of each layer; the inputs of
/// a layer's cells are H, bidirectional 2H, and of the first layer's the columns of `input`.
/// Result: the last layer's states [sequences or events, H or 2H], see StatesOf; the last step of
/// the backward direction is the one that read the sequence's first event.
template <class Scalar, class Cell>
autograd::Variable<Scalar> recurrent_network(const RecurrentBatch& batch, LayerInput<Scalar> input,
                                             std::span<const CellVariables<Scalar>> cells,
                                             const RecurrentShape& shape, StatesOf states_of,
                                             Rng& rng) {
  const std::size_t directions = shape.bidirectional ? 2 : 1;
  autograd::Variable<Scalar> states;
  for (std::size_t layer = 0; layer * directions < cells.size(); ++layer) {
    const bool last = (layer + 1) * directions == cells.size();
    const StatesOf wanted = last ? states_of : StatesOf::kEveryStep;
    const auto forward = recurrent_layer<Scalar, Cell>(batch, input, TimeOrder::kForward, wanted,
                                                       cells[layer * directions]);
    if (shape.bidirectional) {
      const auto backward = recurrent_layer<Scalar, Cell>(batch, input, TimeOrder::kBackward,
                                                          wanted, cells[layer * directions + 1]);
      states = autograd::concat_columns<Scalar>({forward, backward});
    } else {
      states = forward;
    }
    if (!last && shape.dropout > 0) states = autograd::dropout(states, shape.dropout, rng);
    input = {{}, &states};
  }
  return states;
}

}  // namespace ecseq::nn::inline ECSEQ_LEVEL
