#pragma once

#include "ecseq/kernels/gru_cell.hpp"
#include "ecseq/kernels/recurrence.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

template <class Scalar>
using GruWeights = GruCell::Weights<Scalar>;

/// Scalars `pack_gru` writes.
template <class Scalar>
Index packed_gru_size(Index inputs, Index hidden) {
  return packed_recurrent_size<Scalar, 3>(inputs, hidden);
}

/// weight_input: [inputs, 3 hidden], weight_hidden: [hidden, 3 hidden], bias: [1, 4 hidden] with
/// the new gate's bias of x before that of h, memory: [packed_gru_size], aligned to kVectorBytes.
template <class Scalar>
GruWeights<Scalar> pack_gru(MatrixView<Scalar> weight_input, MatrixView<Scalar> weight_hidden,
                            const Scalar* bias, Scalar* memory) {
  return pack_recurrent<Scalar, 3>(weight_input, weight_hidden, bias, memory);
}

/// Scalars `gru_last_state` needs as scratch, aligned to kVectorBytes.
template <class Scalar>
Index gru_scratch_size(const GruWeights<Scalar>& weights) {
  return recurrent_scratch_size<GruCell, Scalar>(weights);
}

/// See `recurrent_last_state`.
template <class Scalar>
void gru_last_state(const GruWeights<Scalar>& weights, const Standardisation& standardisation,
                    const EventRun* runs, Index count, Scalar* out, Index out_stride,
                    Scalar* scratch) {
  recurrent_last_state<GruCell>(weights, standardisation, runs, count, out, out_stride, scratch);
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
