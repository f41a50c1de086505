#pragma once

#include <numeric>

#include "ecseq/kernels/gru.hpp"
#include "ecseq/nn/recurrent_layer.hpp"

namespace ecseq::nn::inline ECSEQ_LEVEL {

/// `recurrent_last_state` of a GRU. weight_input: [features, 3H], weight_hidden: [H, 3H], bias: [1,
/// 4H].
template <class Scalar>
autograd::Variable<Scalar> gru_last_state(const SequencesView& sequences,
                                          std::span<const Index> rows, const float* mean,
                                          const float* scale,
                                          autograd::Variable<Scalar> weight_input,
                                          autograd::Variable<Scalar> weight_hidden,
                                          autograd::Variable<Scalar> bias) {
  return recurrent_last_state<Scalar, kernels::GruCell>(sequences, rows, mean, scale, weight_input,
                                                        weight_hidden, bias);
}

}  // namespace ecseq::nn::inline ECSEQ_LEVEL
