#pragma once

#include "ecseq/kernels/gru_cell.hpp"
#include "ecseq/kernels/recurrence.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// `recurrent_layer` of an AugruCell, from the first event to the last, with one score per event.
/// weights: of `pack_recurrent`, as for a GRU; attention: [events of all runs], rows from
/// `run.first`; scratch: [recurrent_scratch_size<AugruCell>], aligned to kVectorBytes.
template <bool Every, class Scalar>
void augru_layer(const AttentionalWeights<Scalar>& weights, const LayerSource<Scalar>& source,
                 const Scalar* attention, const EventRun* runs, Index count, Scalar* out,
                 Index out_stride, Scalar* scratch) {
  const Index inputs = weights.inputs;
  recurrence<AugruCell, Every>(
      weights, runs, count,
      [&](const EventRun& run, Index t, Scalar* to) {
        if (source.states == nullptr) {
          source.standardisation.apply(run.events + t * inputs, inputs, to);
        } else {
          std::copy_n(source.states + (run.first + t) * inputs, inputs, to);
        }
        to[inputs] = attention[run.first + t];
      },
      [&](const EventRun& run, Index t, const Scalar* h) {
        std::copy_n(h, weights.hidden, out + (Every ? run.first + t : run.result) * out_stride);
      },
      scratch);
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
