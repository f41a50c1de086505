#pragma once

#include <algorithm>
#include <numeric>
#include <span>

#include "ecseq/autograd/operations/shapes.hpp"
#include "ecseq/core/sequences.hpp"
#include "ecseq/kernels/lstm.hpp"
#include "ecseq/kernels/lstm_backward.hpp"

namespace ecseq::nn::inline ECSEQ_LEVEL {

/// h after the last event of each sequence of a ragged shard, as one operation of the tape:
///   i, f, o = sigmoid(x W_x + h W_h + b), g = tanh(...), c = f c + i g, h = o tanh(c)
/// (Hochreiter and Schmidhuber 1997, with forget gates; gates in the order i, f, g, o).
/// weight_input: [inputs, 4H], weight_hidden: [H, 4H], bias: [1, 4H]; result: [n, H].
template <class Scalar>
class LstmLastState final : public autograd::Operation<Scalar> {
 public:
  using V = autograd::Variable<Scalar>;
  LstmLastState(std::span<const kernels::EventRun> runs,
                const kernels::Standardisation& standardisation, V weight_input, V weight_hidden,
                V bias)
      : runs_(runs),
        standardisation_(standardisation),
        weight_input_(weight_input),
        weight_hidden_(weight_hidden),
        bias_(bias) {}

  void forward(autograd::Values<Scalar> y) override {
    auto& tape = bias_.tape();
    weights_ = kernels::pack_lstm<Scalar>(
        view(weight_input_), view(weight_hidden_), bias_.value().data(),
        tape.scratch(kernels::packed_lstm_size<Scalar>(weight_input_.rows(), hidden())));
    const Index longest = runs_.empty() ? 0 : runs_.front().length;
    steps_ = {tape.template scratch_of<Step>(longest + 1), static_cast<std::size_t>(longest + 1)};
    const Index row = weights_.row_size(), padded = weights_.padded;
    auto active = static_cast<Index>(runs_.size());
    first_cell_ = zeros(active * padded);
    steps_[0].rows = zeros(active * row);
    for (Index t = 0; active > 0; ++t) {
      Step& step = steps_[static_cast<std::size_t>(t)];
      Step& next = steps_[static_cast<std::size_t>(t + 1)];
      step.active = active;
      step.gates = tape.scratch(active * 4 * padded);
      step.cell = tape.scratch(active * padded);
      step.cell_tanh = tape.scratch(active * padded);
      next.rows = tape.scratch(active * row);
      for (Index n = 0; n < active; ++n) {
        standardisation_.apply(run(n).events + t * weights_.inputs, weights_.inputs,
                               step.rows + n * row + padded);
      }
      kernels::LstmStep<Scalar> io;
      io.row = step.rows;
      io.row_stride = io.hidden_stride = row;
      io.cell_in = cell_before(t);
      io.cell_out = step.cell;
      io.hidden_out = next.rows;
      io.gates = step.gates;
      io.cell_tanh = step.cell_tanh;
      kernels::lstm_step<Scalar, true>(weights_, io, active);
      const Index remaining = kernels::active_runs(runs_.data(), active, t + 1);
      for (Index n = remaining; n < active; ++n) {
        std::copy_n(next.rows + n * row, hidden(), y.data() + run(n).result * hidden());
      }
      active = remaining;
    }
  }

  // Backwards through time. A sequence joins at its last event with dh = dy, dc = 0:
  //   dgates = (dh, dc through the cell),  dW += [h_(t-1), x_t]' dgates,  db += 1' dgates,
  //   dh_(t-1) = dgates W_h',  dc_(t-1) = dc f
  // The gates kept by `forward` are overwritten.
  void backward(autograd::ConstValues<Scalar>, autograd::ConstValues<Scalar> dy) override {
    auto& tape = bias_.tape();
    const Index row = weights_.row_size(), padded = weights_.padded, inputs = weights_.inputs;
    Scalar* transposed = tape.scratch(padded * 4 * padded);
    kernels::pack_lstm_transposed<Scalar>(view(weight_hidden_), padded, transposed);
    const auto n_runs = static_cast<Index>(runs_.size());
    Scalar* dh = zeros(n_runs * padded);
    Scalar* dc = zeros(n_runs * padded);
    Scalar* dweight_hidden = zeros(hidden() * 4 * padded);
    Scalar* dweight_input = zeros(inputs * 4 * padded);
    Scalar* dbias = zeros(4 * padded);
    Index joined = 0;
    for (Index t = static_cast<Index>(steps_.size()) - 2; t >= 0; --t) {
      const Step& step = steps_[static_cast<std::size_t>(t)];
      for (; joined < step.active; ++joined) {
        std::copy_n(dy.data() + run(joined).result * hidden(), hidden(), dh + joined * padded);
      }
      kernels::lstm_gate_gradients(step.active, padded, step.gates, step.cell_tanh, cell_before(t),
                                   dh, dc, dbias);
      kernels::lstm_weight_gradient(step.active, step.rows + padded, row, inputs, step.gates,
                                    padded, dweight_input);
      if (t == 0) break;  // h before the first event is zero
      kernels::lstm_weight_gradient(step.active, step.rows, row, hidden(), step.gates, padded,
                                    dweight_hidden);
      kernels::lstm_hidden_gradient(transposed, padded, step.active, step.gates, dh);
    }
    add_unpadded(dweight_input, weight_input_);
    add_unpadded(dweight_hidden, weight_hidden_);
    add_unpadded(dbias, bias_);
  }

 private:
  /// What one time step leaves for the backward pass; rows in the order of `runs_`.
  struct Step {
    Scalar* rows = nullptr;       ///< [active of the step before, row_size] rows [h, x]
    Scalar* gates = nullptr;      ///< [active, 4 padded]
    Scalar* cell = nullptr;       ///< [active, padded]
    Scalar* cell_tanh = nullptr;  ///< [active, padded]
    Index active = 0;
  };

  Index hidden() const { return weight_hidden_.rows(); }
  const kernels::EventRun& run(Index n) const { return runs_[static_cast<std::size_t>(n)]; }
  const Scalar* cell_before(Index t) const {
    return t == 0 ? first_cell_ : steps_[static_cast<std::size_t>(t - 1)].cell;
  }
  static MatrixView<Scalar> view(const V& x) { return {x.value().data(), x.rows(), x.cols()}; }
  Scalar* zeros(Index count) {
    Scalar* out = bias_.tape().scratch(count);
    std::fill_n(out, count, Scalar(0));
    return out;
  }
  /// padded gradient: [rows, 4 padded] of which 4 H columns are real
  void add_unpadded(const Scalar* gradient, const V& parameter) {
    if (!parameter.needs_gradient()) return;
    const Index padded = weights_.padded;
    for (Index k = 0; k < parameter.rows(); ++k) {
      for (Index gate = 0; gate < 4; ++gate) {
        const Scalar* from = gradient + (k * 4 + gate) * padded;
        Scalar* to = parameter.gradient().data() + (k * 4 + gate) * hidden();
        for (Index j = 0; j < hidden(); ++j) to[j] += from[j];
      }
    }
  }

  std::span<const kernels::EventRun> runs_;
  kernels::Standardisation standardisation_;
  V weight_input_, weight_hidden_, bias_;
  kernels::LstmWeights<Scalar> weights_;
  std::span<Step> steps_;
  const Scalar* first_cell_ = nullptr;
};

/// The state after the last event of sequences `rows`, in their order: [rows, H].
/// mean, scale: [features] or null: events enter as (x - mean) * scale. All of `sequences`, `mean`
/// and `scale` must outlive the tape's step.
template <class Scalar>
autograd::Variable<Scalar> lstm_last_state(const SequencesView& sequences,
                                           std::span<const Index> rows, const float* mean,
                                           const float* scale,
                                           autograd::Variable<Scalar> weight_input,
                                           autograd::Variable<Scalar> weight_hidden,
                                           autograd::Variable<Scalar> bias) {
  const Index hidden = weight_hidden.rows();
  autograd::require_shape(weight_input, sequences.features(), 4 * hidden, "weight_input");
  autograd::require_shape(weight_hidden, hidden, 4 * hidden, "weight_hidden");
  autograd::require_shape(bias, 1, 4 * hidden, "bias");
  auto& tape = bias.tape();
  const auto count = static_cast<Index>(rows.size());
  auto* runs = tape.template scratch_of<kernels::EventRun>(count);
  for (Index i = 0; i < count; ++i) {
    const Index row = rows[static_cast<std::size_t>(i)];
    runs[i] = {sequences.events(row), sequences.length(row), i};
  }
  std::sort(runs, runs + count, [](const kernels::EventRun& a, const kernels::EventRun& b) {
    return a.length != b.length ? a.length > b.length : a.result < b.result;
  });
  return tape.template apply<LstmLastState<Scalar>>(
      count, hidden,
      weight_input.needs_gradient() || weight_hidden.needs_gradient() || bias.needs_gradient(),
      std::span<const kernels::EventRun>(runs, static_cast<std::size_t>(count)),
      kernels::Standardisation{mean, scale}, weight_input, weight_hidden, bias);
}

}  // namespace ecseq::nn::inline ECSEQ_LEVEL
