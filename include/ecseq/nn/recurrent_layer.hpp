#pragma once

#include <algorithm>
#include <span>

#include "ecseq/autograd/operations/shapes.hpp"
#include "ecseq/core/sequences.hpp"
#include "ecseq/kernels/gate_products.hpp"
#include "ecseq/kernels/gru_backward.hpp"
#include "ecseq/kernels/gru_cell.hpp"
#include "ecseq/kernels/lstm_backward.hpp"
#include "ecseq/kernels/lstm_cell.hpp"
#include "ecseq/kernels/recurrence.hpp"

namespace ecseq::nn::inline ECSEQ_LEVEL {

/// What a cell's gradients look like to `RecurrentLayer`. Gates before activation stand in four
/// columns of [n, 4 padded]; `kInput` and `kHidden` are the first column and, per column, the gate
/// of the weights that x and h multiply; `kBias` the same for the biases.
struct LstmGradient {
  static constexpr bool kAttentional = false;
  static constexpr int kInputBegin = 0, kHiddenBegin = 0;
  static constexpr int kInput[4] = {0, 1, 2, 3}, kHidden[4] = {0, 1, 2, 3};
  static constexpr int kBias[4] = {0, 1, 2, 3};
};
/// Columns new, reset, update, hidden part of new (see GatedRecurrentUnit).
template <bool Attentional>
struct GruGradient {
  static constexpr bool kAttentional = Attentional;
  static constexpr int kInputBegin = 0, kHiddenBegin = 1;
  static constexpr int kInput[3] = {2, 0, 1}, kHidden[3] = {0, 1, 2};
  static constexpr int kBias[4] = {2, 0, 1, 3};
};
template <class Cell>
struct CellGradient;
template <>
struct CellGradient<kernels::LstmCell> : LstmGradient {};
template <>
struct CellGradient<kernels::GruCell> : GruGradient<false> {};
template <>
struct CellGradient<kernels::AugruCell> : GruGradient<true> {};

/// A ragged shard as recurrent layers read it.
struct RecurrentBatch {
  /// Longest first; `result` is the sequence's place in the shard, `first` its first row in a table
  /// of all the shard's events, sequence after sequence.
  std::span<const kernels::EventRun> runs;
  Index events = 0;    ///< of all sequences
  Index features = 0;  ///< of an event
};

/// Sequences `rows` in their order; `sequences` must outlive the tape's step.
template <class Scalar>
RecurrentBatch recurrent_batch(autograd::Tape<Scalar>& tape, const SequencesView& sequences,
                               std::span<const Index> rows) {
  const auto count = static_cast<Index>(rows.size());
  auto* runs = tape.template scratch_of<kernels::EventRun>(count);
  Index events = 0;
  for (Index i = 0; i < count; ++i) {
    const Index row = rows[static_cast<std::size_t>(i)];
    runs[i] = {sequences.events(row), sequences.length(row), i, events};
    events += sequences.length(row);
  }
  std::sort(runs, runs + count, [](const kernels::EventRun& a, const kernels::EventRun& b) {
    return a.length != b.length ? a.length > b.length : a.result < b.result;
  });
  return {{runs, static_cast<std::size_t>(count)}, events, sequences.features()};
}

/// Where each sequence's events begin in a table of all the batch's events. [sequences + 1]
template <class Scalar>
std::span<const Index> event_offsets(autograd::Tape<Scalar>& tape, const RecurrentBatch& batch) {
  const auto count = static_cast<Index>(batch.runs.size());
  auto* const offsets = tape.template scratch_of<Index>(count + 1);
  for (const auto& run : batch.runs) offsets[run.result] = run.first;
  offsets[count] = batch.events;
  return {offsets, static_cast<std::size_t>(count) + 1};
}

/// What a layer reads: the batch's events, standardised, or the states of the layer below.
template <class Scalar>
struct LayerInput {
  kernels::Standardisation standardisation;
  const autograd::Variable<Scalar>* states = nullptr;  ///< [events of the batch, inputs]
  /// [events of the batch, 1] one score per event; of an AugruCell, null for other cells
  const autograd::Variable<Scalar>* attention = nullptr;
};

/// The parameters of one cell. weight_input: [inputs, kGates H], weight_hidden: [H, kGates H],
/// bias: [1, 4H]
template <class Scalar>
struct CellVariables {
  autograd::Variable<Scalar> weight_input, weight_hidden, bias;
};

enum class TimeOrder { kForward, kBackward };
/// Which states a layer gives: the last in its time order, [sequences, H], or all, [events, H].
enum class StatesOf { kLastStep, kEveryStep };

/// The states of a recurrent cell over a ragged shard, as one operation of the tape.
/// Cell LstmCell (Hochreiter and Schmidhuber 1997, with forget gates; gates i, f, g, o):
///   i, f, o = sigmoid(x W_x + h W_h + b), g = tanh(...), c = f c + i g, h = o tanh(c)
/// Cell GruCell (Cho et al. 2014; gates r, z, g; b_g of x and b_u of h):
///   r, z = sigmoid(x W_x + h W_h + b), g = tanh(x W_g + b_g + r (h U + b_u)),
///   h = (1 - z) g + z h
/// Cell AugruCell (Zhou et al. 2019): as GruCell with 1 - a (1 - z), a = attention, in place of z.
template <class Scalar, class Cell>
class RecurrentLayer final : public autograd::Operation<Scalar> {
 public:
  using V = autograd::Variable<Scalar>;
  RecurrentLayer(const RecurrentBatch& batch, const LayerInput<Scalar>& input, TimeOrder order,
                 StatesOf states_of, const CellVariables<Scalar>& cell)
      : runs_(batch.runs),
        standardisation_(input.standardisation),
        stacked_(input.states != nullptr),
        states_(stacked_ ? *input.states : V()),
        attention_(kAttentional ? *input.attention : V()),
        order_(order),
        every_(states_of == StatesOf::kEveryStep),
        weight_input_(cell.weight_input),
        weight_hidden_(cell.weight_hidden),
        bias_(cell.bias) {}

  void forward(autograd::Values<Scalar> y) override {
    auto& tape = bias_.tape();
    weights_ = Weights(kernels::pack_recurrent<Scalar, Cell::kGates>(
        view(weight_input_), view(weight_hidden_), bias_.value().data(),
        tape.scratch(
            kernels::packed_recurrent_size<Scalar, Cell::kGates>(weight_input_.rows(), hidden()))));
    const Index longest = runs_.empty() ? 0 : runs_.front().length;
    steps_ = {tape.template scratch_of<Step>(longest + 1), static_cast<std::size_t>(longest + 1)};
    const Index row = weights_.row_size(), padded = weights_.padded;
    auto active = static_cast<Index>(runs_.size());
    first_cell_ = zeros(active * Cell::kCells * padded);
    steps_[0].rows = zeros(active * row);
    for (Index t = 0; active > 0; ++t) {
      Step& step = steps_[static_cast<std::size_t>(t)];
      Step& next = steps_[static_cast<std::size_t>(t + 1)];
      step.active = active;
      step.gates = tape.scratch(active * 4 * padded);
      step.cell = tape.scratch(active * Cell::kCells * padded);
      step.cell_tanh = tape.scratch(active * Cell::kCells * padded);
      next.rows = tape.scratch(active * row);
      for (Index n = 0; n < active; ++n) {
        Scalar* const to = step.rows + n * row + padded;
        if (stacked_) {
          std::copy_n(states_.value().data() + event(n, t) * weights_.inputs, weights_.inputs, to);
        } else {
          standardisation_.apply(run(n).events + position(n, t) * weights_.inputs, weights_.inputs,
                                 to);
        }
        if constexpr (kAttentional) to[weights_.inputs] = attention_.value()(event(n, t), 0);
      }
      kernels::RecurrentStep<Scalar> io;
      io.row = step.rows;
      io.row_stride = io.hidden_stride = row;
      io.cell_in = cell_before(t);
      io.cell_out = step.cell;
      io.hidden_out = next.rows;
      io.gates = step.gates;
      io.cell_tanh = step.cell_tanh;
      kernels::recurrent_step<Cell, Scalar, true>(weights_, io, active);
      const Index remaining = kernels::active_runs(runs_.data(), active, t + 1);
      for (Index n = every_ ? 0 : remaining; n < active; ++n) {
        const Index to = every_ ? event(n, t) : run(n).result;
        std::copy_n(next.rows + n * row, hidden(), y.data() + to * hidden());
      }
      active = remaining;
    }
  }

  // Backwards through time. A sequence joins at its last step with dh = dy, dc = 0 (where every
  // state is a result, each step adds its dy to dh):
  //   dgates = (dh, dc through the cell),  dW += [h_(t-1), x_t]' dgates,  db += 1' dgates,
  //   dh_(t-1) = dgates W_h' (GRU: + z dh),  dc_(t-1) = dc f,  dx_t = dgates W_x'
  // What `forward` kept of the gates is overwritten.
  void backward(autograd::ConstValues<Scalar>, autograd::ConstValues<Scalar> dy) override {
    using Gradient = CellGradient<Cell>;
    auto& tape = bias_.tape();
    const Index row = weights_.row_size(), padded = weights_.padded, inputs = weights_.inputs;
    const Index size = Cell::kGates * padded;
    Scalar* transposed =
        tape.scratch(kernels::transposed_size<Scalar>(view(weight_hidden_), hidden()));
    kernels::pack_transposed<Scalar>(view(weight_hidden_), hidden(), Gradient::kHidden, transposed);
    const auto n_runs = static_cast<Index>(runs_.size());
    Scalar* dh = zeros(n_runs * padded);
    Scalar* dc = zeros(n_runs * Cell::kCells * padded);
    Scalar* dweight_hidden = zeros(hidden() * size);
    Scalar* dweight_input = zeros(inputs * size);
    Scalar* dbias = zeros(4 * padded);
    const bool below = stacked_ && states_.needs_gradient();
    const Index padded_inputs = kernels::round_up<Scalar>(inputs);
    Scalar* transposed_input = nullptr;
    Scalar* dx = nullptr;
    if (below) {
      transposed_input =
          tape.scratch(kernels::transposed_size<Scalar>(view(weight_input_), hidden()));
      kernels::pack_transposed<Scalar>(view(weight_input_), hidden(), Gradient::kInput,
                                       transposed_input);
      dx = tape.scratch(n_runs * padded_inputs);
    }
    kernels::AttentionGradient<Scalar> attention;
    if constexpr (kAttentional) {
      attention.stride = row;
      attention.sums = tape.scratch(n_runs * kernels::kLanes<Scalar>);
    }
    Index joined = 0;
    for (Index t = static_cast<Index>(steps_.size()) - 2; t >= 0; --t) {
      const Step& step = steps_[static_cast<std::size_t>(t)];
      if (every_) {
        for (Index n = 0; n < step.active; ++n) {
          const Scalar* from = dy.data() + event(n, t) * hidden();
          for (Index j = 0; j < hidden(); ++j) dh[n * padded + j] += from[j];
        }
      } else {
        for (; joined < step.active; ++joined) {
          std::copy_n(dy.data() + run(joined).result * hidden(), hidden(), dh + joined * padded);
        }
      }
      if constexpr (Cell::kCells > 0) {
        kernels::lstm_gate_gradients(step.active, padded, step.gates, step.cell_tanh,
                                     cell_before(t), dh, dc, dbias);
      } else {
        if constexpr (kAttentional) {
          attention.scores = step.rows + padded + inputs;
          std::fill_n(attention.sums, step.active * kernels::kLanes<Scalar>, Scalar(0));
        }
        kernels::gru_gate_gradients<kAttentional>(step.active, padded, step.gates, step.rows, row,
                                                  dh, dbias, attention);
        if constexpr (kAttentional) add_attention_gradient(t, step.active, attention.sums);
      }
      const Scalar* of_input = step.gates + Gradient::kInputBegin * padded;
      const Scalar* of_hidden = step.gates + Gradient::kHiddenBegin * padded;
      kernels::weight_gradient(step.active, step.rows + padded, row, inputs, of_input, 4 * padded,
                               dweight_input, size);
      if (below) {
        kernels::input_gradient<Scalar, false>(transposed_input, size, step.active, of_input,
                                               4 * padded, dx, padded_inputs);
        for (Index n = 0; n < step.active; ++n) {
          Scalar* to = states_.gradient().data() + event(n, t) * inputs;
          for (Index k = 0; k < inputs; ++k) to[k] += dx[n * padded_inputs + k];
        }
      }
      if (t == 0) break;  // h before the first event is zero
      kernels::weight_gradient(step.active, step.rows, row, hidden(), of_hidden, 4 * padded,
                               dweight_hidden, size);
      kernels::input_gradient<Scalar, Cell::kCells == 0>(transposed, size, step.active, of_hidden,
                                                         4 * padded, dh, padded);
    }
    add_unpadded(dweight_input, Gradient::kInput, weight_input_);
    add_unpadded(dweight_hidden, Gradient::kHidden, weight_hidden_);
    add_unpadded(dbias, Gradient::kBias, bias_);
  }

 private:
  static constexpr bool kAttentional = CellGradient<Cell>::kAttentional;
  using Weights = typename Cell::template Weights<Scalar>;

  /// What one time step leaves for the backward pass; rows in the order of `runs_`.
  struct Step {
    Scalar* rows = nullptr;       ///< [active of the step before, row_size] rows [h, x, attention]
    Scalar* gates = nullptr;      ///< [active, 4 padded]
    Scalar* cell = nullptr;       ///< [active, padded]; LSTM only
    Scalar* cell_tanh = nullptr;  ///< [active, padded]; LSTM only
    Index active = 0;
  };

  Index hidden() const { return weight_hidden_.rows(); }
  const kernels::EventRun& run(Index n) const { return runs_[static_cast<std::size_t>(n)]; }
  /// Which event of run n step t reads, and its row among the events of the batch.
  Index position(Index n, Index t) const {
    return order_ == TimeOrder::kForward ? t : run(n).length - 1 - t;
  }
  Index event(Index n, Index t) const { return run(n).first + position(n, t); }
  const Scalar* cell_before(Index t) const {
    return t == 0 ? first_cell_ : steps_[static_cast<std::size_t>(t - 1)].cell;
  }
  static MatrixView<Scalar> view(const V& x) { return {x.value().data(), x.rows(), x.cols()}; }
  Scalar* zeros(Index count) {
    Scalar* out = bias_.tape().scratch(count);
    std::fill_n(out, count, Scalar(0));
    return out;
  }
  /// sums: [active, lanes], see AttentionGradient
  void add_attention_gradient(Index t, Index active, const Scalar* sums) {
    if (!attention_.needs_gradient()) return;
    for (Index n = 0; n < active; ++n, sums += kernels::kLanes<Scalar>) {
      Scalar sum = sums[0];
      for (int lane = 1; lane < kernels::kLanes<Scalar>; ++lane) sum += sums[lane];
      attention_.gradient()(event(n, t), 0) += sum;
    }
  }
  /// gradient: [rows, gates padded] with gates in the order `order`, of which H columns are real
  template <std::size_t Gates>
  void add_unpadded(const Scalar* gradient, const int (&order)[Gates], const V& parameter) {
    if (!parameter.needs_gradient()) return;
    constexpr auto kCount = static_cast<Index>(Gates);
    for (Index k = 0; k < parameter.rows(); ++k) {
      for (Index gate = 0; gate < kCount; ++gate) {
        const Scalar* from = gradient + (k * kCount + gate) * weights_.padded;
        Scalar* to = parameter.gradient().data() + (k * kCount + order[gate]) * hidden();
        for (Index j = 0; j < hidden(); ++j) to[j] += from[j];
      }
    }
  }

  std::span<const kernels::EventRun> runs_;
  kernels::Standardisation standardisation_;
  bool stacked_;
  V states_;
  V attention_;
  TimeOrder order_;
  bool every_;
  V weight_input_, weight_hidden_, bias_;
  Weights weights_;
  std::span<Step> steps_;
  const Scalar* first_cell_ = nullptr;
};

template <class Scalar, class Cell>
autograd::Variable<Scalar> recurrent_layer(const RecurrentBatch& batch,
                                           const LayerInput<Scalar>& input, TimeOrder order,
                                           StatesOf states_of, const CellVariables<Scalar>& cell) {
  const Index hidden = cell.weight_hidden.rows();
  const Index inputs = input.states == nullptr ? batch.features : input.states->cols();
  if (input.states != nullptr) {
    autograd::require_shape(*input.states, batch.events, inputs, "states");
  }
  if (CellGradient<Cell>::kAttentional != (input.attention != nullptr)) {
    throw InvalidArgument("attention: expected scores for an AugruCell and for no other cell");
  }
  if (input.attention != nullptr) {
    autograd::require_shape(*input.attention, batch.events, 1, "attention");
  }
  autograd::require_shape(cell.weight_input, inputs, Cell::kGates * hidden, "weight_input");
  autograd::require_shape(cell.weight_hidden, hidden, Cell::kGates * hidden, "weight_hidden");
  autograd::require_shape(cell.bias, 1, 4 * hidden, "bias");
  const bool needs_gradient = cell.weight_input.needs_gradient() ||
                              cell.weight_hidden.needs_gradient() || cell.bias.needs_gradient() ||
                              (input.states != nullptr && input.states->needs_gradient()) ||
                              (input.attention != nullptr && input.attention->needs_gradient());
  const Index rows =
      states_of == StatesOf::kEveryStep ? batch.events : static_cast<Index>(batch.runs.size());
  return cell.bias.tape().template apply<RecurrentLayer<Scalar, Cell>>(
      rows, hidden, needs_gradient, batch, input, order, states_of, cell);
}

/// The state after the last event of sequences `rows`, in their order: [rows, H].
/// mean, scale: [features] or null: events enter as (x - mean) * scale. All of `sequences`, `mean`
/// and `scale` must outlive the tape's step.
template <class Scalar, class Cell>
autograd::Variable<Scalar> recurrent_last_state(const SequencesView& sequences,
                                                std::span<const Index> rows, const float* mean,
                                                const float* scale,
                                                autograd::Variable<Scalar> weight_input,
                                                autograd::Variable<Scalar> weight_hidden,
                                                autograd::Variable<Scalar> bias) {
  return recurrent_layer<Scalar, Cell>(recurrent_batch(bias.tape(), sequences, rows),
                                       {{mean, scale}, nullptr}, TimeOrder::kForward,
                                       StatesOf::kLastStep, {weight_input, weight_hidden, bias});
}

}  // namespace ecseq::nn::inline ECSEQ_LEVEL
