#pragma once

#include <algorithm>

#include "ecseq/kernels/gru_cell.hpp"
#include "ecseq/kernels/recurrence.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// `recurrent_layer` of an AugruCell, from the first event to the last, with one score per event.
/// Its own loop, because `recurrence` gives a cell's rows the inputs only.
/// weights: of `pack_recurrent`, as for a GRU; attention: [events of all runs], rows from
/// `run.first`; scratch: [recurrent_scratch_size<AugruCell>], aligned to kVectorBytes.
template <bool Every, class Scalar>
void augru_layer(const AttentionalWeights<Scalar>& weights, const LayerSource<Scalar>& source,
                 const Scalar* attention, const EventRun* runs, Index count, Scalar* out,
                 Index out_stride, Scalar* scratch) {
  const Index tile = recurrent_tile<AugruCell, Scalar>(weights);
  const Index inputs = weights.inputs, row = weights.row_size();
  Scalar* const rows[2] = {scratch, scratch + tile * row};
  for (Index begin = 0; begin < count; begin += tile) {
    const EventRun* run = runs + begin;
    Index active = std::min(tile, count - begin);
    for (Index n = 0; n < active; ++n) std::fill_n(rows[0] + n * row, weights.padded, Scalar(0));
    for (Index t = 0; active > 0; ++t) {
      Scalar* current = rows[t % 2];
      Scalar* next = rows[(t + 1) % 2];
      for (Index n = 0; n < active; ++n) {
        Scalar* to = current + n * row + weights.padded;
        if (source.states == nullptr) {
          source.standardisation.apply(run[n].events + t * inputs, inputs, to);
        } else {
          std::copy_n(source.states + (run[n].first + t) * inputs, inputs, to);
        }
        to[inputs] = attention[run[n].first + t];
      }
      RecurrentStep<Scalar> step;
      step.row = current;
      step.hidden_out = next;
      step.row_stride = step.hidden_stride = row;
      recurrent_step<AugruCell, Scalar, false>(weights, step, active);
      const Index remaining = active_runs(run, active, t + 1);
      for (Index n = Every ? 0 : remaining; n < active; ++n) {
        const Index result = Every ? run[n].first + t : run[n].result;
        std::copy_n(next + n * row, weights.hidden, out + result * out_stride);
      }
      active = remaining;
    }
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
