#pragma once

#include "ecseq/kernels/recurrent_weights.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// Where one time step of several sequences reads and writes. Row n of each array belongs to
/// sequence n; strides are in scalars.
template <class Scalar>
struct RecurrentStep {
  const Scalar* row = nullptr;  ///< [n, row_stride] rows [h of the step before, x]
  Index row_stride = 0;
  const Scalar* cell_in = nullptr;  ///< [n, padded]; LSTM only, as cell_out and cell_tanh
  Scalar* cell_out = nullptr;       ///< [n, padded]; may be cell_in
  Scalar* hidden_out = nullptr;     ///< [n, hidden_stride]; must not be `row`
  Index hidden_stride = 0;
  /// [n, projected_stride] sums that hold bias and inputs already, from `project_inputs`; null: the
  /// inputs stand in `row`
  const Scalar* projected = nullptr;
  Index projected_stride = 0;
  /// Of few sequences: from the last block to the first. Steps that take turns begin with the
  /// weights that the step before has left in the first-level cache.
  bool descending = false;
  Scalar* gates = nullptr;      ///< [n, 4 padded] what the cell keeps for its backward pass
  Scalar* cell_tanh = nullptr;  ///< [n, padded], likewise
};

/// What the sums of one time step start from, and how many inputs they still lack.
template <class Scalar>
struct RecurrentStart {
  const Scalar* sums;  ///< [sequences, stride] in the order of `RecurrentWeights::bias`
  Index stride;
  Index inputs;
};

/// The start of sequence n and those after it.
template <class Scalar, int Gates>
ECSEQ_INLINE RecurrentStart<Scalar> recurrent_start(const RecurrentWeights<Scalar, Gates>& weights,
                                                    const RecurrentStep<Scalar>& step, Index n) {
  if (step.projected == nullptr) return {weights.bias, 0, weights.inputs};
  return {step.projected + n * step.projected_stride, step.projected_stride, 0};
}

namespace detail {

/// Sequences whose sums stay in registers at a time: 4 sums each, a weight, a broadcast.
inline constexpr int kStepSequences = kRegisters == 32 ? 6 : 3;

template <class Cell, class Scalar, bool Keep, class Weights>
void step_sequences(const Weights& weights, const RecurrentStep<Scalar>& step, Index block, Index n,
                    Index count) {
  switch (count) {
    case 1:
      return Cell::template tile<Scalar, 1, 1, Keep>(weights, step, block, n);
    case 2:
      return Cell::template tile<Scalar, 2, 1, Keep>(weights, step, block, n);
    case 3:
      return Cell::template tile<Scalar, 3, 1, Keep>(weights, step, block, n);
    default:
      break;
  }
  if constexpr (kStepSequences == 6) {
    switch (count) {
      case 4:
        return Cell::template tile<Scalar, 4, 1, Keep>(weights, step, block, n);
      case 5:
        return Cell::template tile<Scalar, 5, 1, Keep>(weights, step, block, n);
      default:
        return Cell::template tile<Scalar, 6, 1, Keep>(weights, step, block, n);
    }
  }
}

/// Few sequences alone would wait for each product's latency: two blocks go together.
template <class Cell, class Scalar, int Sequences, bool Keep, class Weights>
void step_few(const Weights& weights, const RecurrentStep<Scalar>& step) {
  const Index blocks = weights.blocks(), pairs = (blocks + 1) / 2;
  for (Index i = 0; i < pairs; ++i) {
    const Index block = 2 * (step.descending ? pairs - 1 - i : i);
    if (block + 1 < blocks) {
      Cell::template tile<Scalar, Sequences, 2, Keep>(weights, step, block, 0);
    } else {
      Cell::template tile<Scalar, Sequences, 1, Keep>(weights, step, block, 0);
    }
  }
}

}  // namespace detail

/// One time step of `count` sequences. With Keep, what the backward pass needs is stored.
/// Cell: LstmCell, GruCell or AugruCell.
template <class Cell, class Scalar, bool Keep>
void recurrent_step(const typename Cell::template Weights<Scalar>& weights,
                    const RecurrentStep<Scalar>& step, Index count) {
  constexpr bool kMany = kRegisters == 32;
  if (count == 1) return detail::step_few<Cell, Scalar, 1, Keep>(weights, step);
  if (count == 2 && kMany) return detail::step_few<Cell, Scalar, 2, Keep>(weights, step);
  if (count == 3 && kMany) return detail::step_few<Cell, Scalar, 3, Keep>(weights, step);
  // Widths as even as can be: 7 = 4 + 3 keeps the pipeline fuller than 6 + 1.
  const Index groups = (count + detail::kStepSequences - 1) / detail::kStepSequences;
  for (Index block = 0; block < weights.blocks(); ++block) {
    for (Index group = 0; group < groups; ++group) {
      const Index n = group * count / groups;
      const Index next = (group + 1) * count / groups;
      detail::step_sequences<Cell, Scalar, Keep>(weights, step, block, n, next - n);
    }
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
