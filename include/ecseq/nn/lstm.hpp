#pragma once

#include <numeric>

#include "ecseq/kernels/lstm.hpp"
#include "ecseq/nn/recurrent_layer.hpp"

namespace ecseq::nn::inline ECSEQ_LEVEL {

/// `recurrent_last_state` of an LSTM. weight_input: [features, 4H], weight_hidden: [H, 4H], bias:
/// [1, 4H].
template <class Scalar>
autograd::Variable<Scalar> lstm_last_state(const SequencesView& sequences,
                                           std::span<const Index> rows, const float* mean,
                                           const float* scale,
                                           autograd::Variable<Scalar> weight_input,
                                           autograd::Variable<Scalar> weight_hidden,
                                           autograd::Variable<Scalar> bias) {
  return recurrent_last_state<Scalar, kernels::LstmCell>(sequences, rows, mean, scale, weight_input,
                                                         weight_hidden, bias);
}

}  // namespace ecseq::nn::inline ECSEQ_LEVEL
