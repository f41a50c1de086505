#pragma once

#include <algorithm>

#include "ecseq/kernels/lstm_cell.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// (x - mean) * scale per column; no standardisation where `mean` is null. Events are staged
/// through this into the step's rows: folding it into the weights instead would subtract two
/// huge products for a column such as a timestamp.
struct Standardisation {
  const float* mean = nullptr;   ///< [inputs]
  const float* scale = nullptr;  ///< [inputs] 1 / standard deviation

  template <class Scalar>
  void apply(const float* x, Index inputs, Scalar* out) const {
    if (mean == nullptr) {
      for (Index k = 0; k < inputs; ++k) out[k] = static_cast<Scalar>(x[k]);
    } else {
      for (Index k = 0; k < inputs; ++k) {
        out[k] = (static_cast<Scalar>(x[k]) - static_cast<Scalar>(mean[k])) *
                 static_cast<Scalar>(scale[k]);
      }
    }
  }
};

/// A sequence as a kernel sees it.
struct EventRun {
  const float* events = nullptr;  ///< [length, inputs]
  Index length = 0;
  Index result = 0;  ///< row of the result
};

/// Sequences [begin, end) of `runs` whose length exceeds `step`; they are sorted from long to
/// short, so these are the first ones.
inline Index active_runs(const EventRun* runs, Index count, Index step) {
  while (count > 0 && runs[count - 1].length <= step) --count;
  return count;
}

/// How many sequences advance together: as many as keep their states in the first-level cache.
template <class Scalar>
Index lstm_tile(const LstmWeights<Scalar>& weights) {
  constexpr Index kBytes = 32 * 1024;
  const Index bytes =
      (2 * weights.row_size() + weights.padded) * static_cast<Index>(sizeof(Scalar));
  constexpr Index kGroup = detail::kLstmSequences;
  return std::clamp<Index>(kBytes / bytes / kGroup * kGroup, 2 * kGroup, 48);
}

/// Scalars `lstm_last_state` needs as scratch, aligned to kVectorBytes.
template <class Scalar>
Index lstm_scratch_size(const LstmWeights<Scalar>& weights) {
  return lstm_tile(weights) * (2 * weights.row_size() + weights.padded);
}

/// The state after the last event of each run: out row `run.result` = h.
/// runs: sorted by length, longest first; out: [results, out_stride], out_stride >= hidden.
/// What a sequence gets does not depend, to the last bit, on the other runs.
template <class Scalar>
void lstm_last_state(const LstmWeights<Scalar>& weights, const Standardisation& standardisation,
                     const EventRun* runs, Index count, Scalar* out, Index out_stride,
                     Scalar* scratch) {
  const Index tile = lstm_tile(weights), row = weights.row_size(), padded = weights.padded;
  Scalar* const rows[2] = {scratch, scratch + tile * row};
  Scalar* const cells = scratch + 2 * tile * row;
  for (Index begin = 0; begin < count; begin += tile) {
    const EventRun* run = runs + begin;
    Index active = std::min(tile, count - begin);
    for (Index n = 0; n < active; ++n) std::fill_n(rows[0] + n * row, padded, Scalar(0));
    std::fill_n(cells, active * padded, Scalar(0));
    for (Index t = 0; active > 0; ++t) {
      Scalar* current = rows[t % 2];
      Scalar* next = rows[(t + 1) % 2];
      for (Index n = 0; n < active; ++n) {
        standardisation.apply(run[n].events + t * weights.inputs, weights.inputs,
                              current + n * row + padded);
      }
      LstmStep<Scalar> step;
      step.row = current;
      step.row_stride = row;
      step.cell_in = step.cell_out = cells;
      step.hidden_out = next;
      step.hidden_stride = row;
      lstm_step<Scalar, false>(weights, step, active);
      const Index remaining = active_runs(run, active, t + 1);
      for (Index n = remaining; n < active; ++n) {
        std::copy_n(next + n * row, weights.hidden, out + run[n].result * out_stride);
      }
      active = remaining;
    }
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
