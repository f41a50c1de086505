#pragma once

#include <algorithm>

#include "ecseq/kernels/project_inputs.hpp"
#include "ecseq/kernels/recurrent_step.hpp"

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
  Index first = 0;   ///< row of the first event in a table of one row per event of each sequence
};

/// Sequences [begin, end) of `runs` whose length exceeds `step`; they are sorted from long to
/// short, so these are the first ones.
inline Index active_runs(const EventRun* runs, Index count, Index step) {
  while (count > 0 && runs[count - 1].length <= step) --count;
  return count;
}

/// How many sequences advance together: as many as keep their states in the first-level cache.
template <class Cell, class Scalar>
Index recurrent_tile(const typename Cell::template Weights<Scalar>& weights) {
  constexpr Index kBytes = 32 * 1024;
  const Index bytes =
      (2 * weights.row_size() + Cell::kCells * weights.padded) * static_cast<Index>(sizeof(Scalar));
  constexpr Index kGroup = detail::kStepSequences;
  return std::clamp<Index>(kBytes / bytes / kGroup * kGroup, 2 * kGroup, 48);
}

namespace detail {

/// Up to this many sequences have their inputs projected ahead of the recurrence.
inline constexpr Index kFewSequences = 2;
/// Events projected at a time: several register tiles, and their sums stay near.
inline constexpr Index kProjectedEvents = 24;

}  // namespace detail

/// Scalars `recurrence` needs as scratch, aligned to kVectorBytes.
template <class Cell, class Scalar>
Index recurrent_scratch_size(const typename Cell::template Weights<Scalar>& weights) {
  const Index states = 2 * weights.row_size() + Cell::kCells * weights.padded;
  const Index projected = round_up<Scalar>(weights.inputs) + weights.projected_size();
  return std::max(recurrent_tile<Cell, Scalar>(weights) * states,
                  detail::kFewSequences * states + detail::kProjectedEvents * projected);
}

namespace detail {

/// `recurrence` of `active` <= kFewSequences sequences. Alone, a sequence's steps are products of a
/// matrix and a vector, which wait for the weights; so the inputs of many steps are multiplied
/// first, several events to a weight, and each step is left with the hidden product.
template <class Cell, bool Every, class Scalar, class Stage, class Emit>
void recurrence_of_few(const typename Cell::template Weights<Scalar>& weights, const EventRun* run,
                       Index active, const Stage& stage, const Emit& emit, Scalar* scratch) {
  const Index padded = weights.padded, sums = weights.projected_size();
  const Index row = round_up<Scalar>(weights.inputs);
  Scalar* const hidden[2] = {scratch, scratch + active * padded};
  Scalar* const cells = scratch + 2 * active * padded;
  Scalar* const inputs = cells + active * Cell::kCells * padded;
  Scalar* const projected = inputs + kProjectedEvents * row;
  std::fill_n(scratch, active * (2 + Cell::kCells) * padded, Scalar(0));
  const Index ahead = kProjectedEvents / active;
  for (Index t = 0; active > 0; ++t) {
    if (t % ahead == 0) {
      for (Index n = 0; n < active; ++n) {
        const Index count = std::min(ahead, run[n].length - t);
        for (Index i = 0; i < count; ++i) stage(run[n], t + i, inputs + i * row);
        project_inputs(weights, inputs, row, count, projected + n * ahead * sums);
      }
    }
    RecurrentStep<Scalar> step;
    step.row = hidden[t % 2];
    step.row_stride = step.hidden_stride = padded;
    step.cell_in = step.cell_out = cells;
    step.hidden_out = hidden[(t + 1) % 2];
    step.projected = projected + t % ahead * sums;
    step.projected_stride = ahead * sums;
    step.descending = t % 2 == 1;
    recurrent_step<Cell, Scalar, false>(weights, step, active);
    const Index remaining = active_runs(run, active, t + 1);
    for (Index n = Every ? 0 : remaining; n < active; ++n) {
      emit(run[n], t, step.hidden_out + n * padded);
    }
    active = remaining;
  }
}

}  // namespace detail

/// Runs a cell over sequences. runs: sorted by length, longest first. stage(run, t, to) writes
/// the input of step t to `to` [inputs]; emit(run, t, h) gets the state [hidden] after step t, of
/// the last step only unless `Every`.
/// What a sequence gets does not depend, to the last bit, on the other runs.
template <class Cell, bool Every, class Scalar, class Stage, class Emit>
void recurrence(const typename Cell::template Weights<Scalar>& weights, const EventRun* runs,
                Index count, const Stage& stage, const Emit& emit, Scalar* scratch) {
  const Index tile = recurrent_tile<Cell, Scalar>(weights);
  const Index row = weights.row_size(), padded = weights.padded;
  Scalar* const rows[2] = {scratch, scratch + tile * row};
  Scalar* const cells = scratch + 2 * tile * row;
  for (Index begin = 0; begin < count; begin += tile) {
    const EventRun* run = runs + begin;
    Index active = std::min(tile, count - begin);
    if (active <= detail::kFewSequences) {
      detail::recurrence_of_few<Cell, Every>(weights, run, active, stage, emit, scratch);
      continue;
    }
    for (Index n = 0; n < active; ++n) std::fill_n(rows[0] + n * row, padded, Scalar(0));
    std::fill_n(cells, active * Cell::kCells * padded, Scalar(0));
    for (Index t = 0; active > 0; ++t) {
      Scalar* current = rows[t % 2];
      Scalar* next = rows[(t + 1) % 2];
      for (Index n = 0; n < active; ++n) stage(run[n], t, current + n * row + padded);
      RecurrentStep<Scalar> step;
      step.row = current;
      step.row_stride = row;
      step.cell_in = step.cell_out = cells;
      step.hidden_out = next;
      step.hidden_stride = row;
      recurrent_step<Cell, Scalar, false>(weights, step, active);
      const Index remaining = active_runs(run, active, t + 1);
      for (Index n = Every ? 0 : remaining; n < active; ++n) emit(run[n], t, next + n * row);
      active = remaining;
    }
  }
}

namespace detail {

ECSEQ_INLINE void prefetch(const float* x, Index count) {
  constexpr Index kLine = 64 / static_cast<Index>(sizeof(float));
  for (Index k = 0; k < count; k += kLine) __builtin_prefetch(x + k);
}

}  // namespace detail

/// What a layer reads: events, standardised, or the states of the layer below.
template <class Scalar>
struct LayerSource {
  Standardisation standardisation;
  const Scalar* states = nullptr;  ///< [events of all runs, inputs], rows from `run.first`
};

/// One layer over `runs` (as for `recurrence`), from the first event to the last or, `backward`,
/// from the last to the first. out: [., out_stride], out_stride >= hidden, gets the state of the
/// last step in row `run.result` or, with Every, of each event in its row from `run.first`.
template <class Cell, bool Every, class Scalar>
void recurrent_layer(const typename Cell::template Weights<Scalar>& weights,
                     const LayerSource<Scalar>& source, bool backward, const EventRun* runs,
                     Index count, Scalar* out, Index out_stride, Scalar* scratch) {
  const Index inputs = weights.inputs;
  const auto position = [&](const EventRun& run, Index t) {
    return backward ? run.length - 1 - t : t;
  };
  recurrence<Cell, Every>(
      weights, runs, count,
      [&](const EventRun& run, Index t, Scalar* to) {
        // A tile reads a row of each of its sequences in turn, which no hardware prefetcher
        // follows.
        constexpr Index kAhead = 4;
        if (source.states == nullptr && t + kAhead < run.length) {
          detail::prefetch(run.events + position(run, t + kAhead) * inputs, inputs);
        }
        if (source.states == nullptr) {
          source.standardisation.apply(run.events + position(run, t) * inputs, inputs, to);
        } else {
          std::copy_n(source.states + (run.first + position(run, t)) * inputs, inputs, to);
        }
      },
      [&](const EventRun& run, Index t, const Scalar* h) {
        const Index row = Every ? run.first + position(run, t) : run.result;
        std::copy_n(h, weights.hidden, out + row * out_stride);
      },
      scratch);
}

/// The state after the last event of each run: out row `run.result` = h.
/// runs: as for `recurrence`; out: [results, out_stride], out_stride >= hidden.
template <class Cell, class Scalar>
void recurrent_last_state(const typename Cell::template Weights<Scalar>& weights,
                          const Standardisation& standardisation, const EventRun* runs, Index count,
                          Scalar* out, Index out_stride, Scalar* scratch) {
  recurrent_layer<Cell, false>(weights, LayerSource<Scalar>{standardisation}, false, runs, count,
                               out, out_stride, scratch);
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
