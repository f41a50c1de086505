#pragma once

#include "ecseq/kernels/lstm_cell.hpp"
#include "ecseq/kernels/recurrence.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

template <class Scalar>
using LstmWeights = LstmCell::Weights<Scalar>;

/// Scalars `pack_lstm` writes.
template <class Scalar>
Index packed_lstm_size(Index inputs, Index hidden) {
  return packed_recurrent_size<Scalar, 4>(inputs, hidden);
}

/// weight_input: [inputs, 4 hidden], weight_hidden: [hidden, 4 hidden], bias: [1, 4 hidden],
/// memory: [packed_lstm_size], aligned to kVectorBytes.
template <class Scalar>
LstmWeights<Scalar> pack_lstm(MatrixView<Scalar> weight_input, MatrixView<Scalar> weight_hidden,
                              const Scalar* bias, Scalar* memory) {
  return pack_recurrent<Scalar, 4>(weight_input, weight_hidden, bias, memory);
}

/// Scalars `lstm_last_state` needs as scratch, aligned to kVectorBytes.
template <class Scalar>
Index lstm_scratch_size(const LstmWeights<Scalar>& weights) {
  return recurrent_scratch_size<LstmCell, Scalar>(weights);
}

/// See `recurrent_last_state`.
template <class Scalar>
void lstm_last_state(const LstmWeights<Scalar>& weights, const Standardisation& standardisation,
                     const EventRun* runs, Index count, Scalar* out, Index out_stride,
                     Scalar* scratch) {
  recurrent_last_state<LstmCell>(weights, standardisation, runs, count, out, out_stride, scratch);
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
