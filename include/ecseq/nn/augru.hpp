#pragma once

#include "ecseq/kernels/augru.hpp"
#include "ecseq/nn/recurrent_layer.hpp"

namespace ecseq::nn::inline ECSEQ_LEVEL {

/// The states of a GRU with an attentional update gate (AUGRU of DIEN, Zhou et al. 2019, section
/// 4.3): an event of score 0 leaves the state as it is, one of score 1 acts as in a GRU.
/// states: [events of the batch, inputs], what the cell reads; attention: [events of the batch, 1],
/// rows as in `states`; gradients flow into both.
/// Result: [sequences, H], or [events, H] with StatesOf::kEveryStep.
template <class Scalar>
autograd::Variable<Scalar> augru(const RecurrentBatch& batch, autograd::Variable<Scalar> states,
                                 autograd::Variable<Scalar> attention, StatesOf states_of,
                                 const CellVariables<Scalar>& cell) {
  return recurrent_layer<Scalar, kernels::AugruCell>(batch, {{}, &states, &attention},
                                                     TimeOrder::kForward, states_of, cell);
}

}  // namespace ecseq::nn::inline ECSEQ_LEVEL
