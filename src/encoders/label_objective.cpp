#include "label_objective.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/nn/ranking_metrics.hpp"

namespace ecseq::encoders {
namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

LabelObjective::LabelObjective(const EncoderState& state, const LabelledPart& training,
                               const LabelledPart& validation, int num_threads,
                               const ProgressCallback& progress, const Progress& where)
    : state_(state),
      training_(training),
      validation_(validation),
      num_threads_(num_threads),
      progress_(progress),
      where_(where),
      rows_of_(state.options.labels_per == "event" ? RowsOf::kEvents : RowsOf::kSequences) {
  if (rows_of_ == RowsOf::kSequences) return;
  Index label = 0;
  for (Index i = 0; i < training.sequences.size; ++i) {
    first_label_.push_back(label);
    label += training.sequences.length(i);
  }
  label_weight_ =
      static_cast<float>(static_cast<double>(training.sequences.size) / static_cast<double>(label));
}

autograd::Variable<float> LabelObjective::loss(const nn::BoundParameters<float>& bound,
                                               autograd::Variable<float> x,
                                               std::span<const Index> rows) const {
  const Targets& y = training_.y;
  auto& tape = bound.tape();
  const Index n = x.rows(), cols = y.n_outputs();
  const auto& class_weight = state_.options.class_weight;
  float* const targets = tape.scratch(n * cols);
  float* const weights = tape.scratch(n);
  std::fill_n(targets, n * cols, 0.0F);
  Index next = 0;
  const auto add = [&](Index label) {
    const float value = y.values[at(label)];
    if (y.task == Task::kMulticlass) {
      targets[next * cols + static_cast<Index>(value)] = 1.0F;
    } else {
      targets[next] = value;
    }
    weights[next++] = label_weight_ *
                      (class_weight.empty() ? 1.0F : class_weight[static_cast<std::size_t>(value)]);
  };
  for (const Index row : rows) {
    if (rows_of_ == RowsOf::kSequences) {
      add(row);
    } else {
      const Index first = first_label_[at(row)], length = training_.sequences.length(row);
      for (Index t = 0; t < length; ++t) add(first + t);
    }
  }
  const auto logits = autograd::linear(x, bound[state_.head_weight], bound[state_.head_bias]);
  const MatrixView<float> expected(targets, n, cols);
  switch (y.task) {
    case Task::kBinary:
      return autograd::binary_cross_entropy(logits, expected, weights);
    case Task::kMulticlass:
      return autograd::cross_entropy(logits, expected, weights);
    default:
      return autograd::squared_error(logits, expected, weights);
  }
}

// Embeddings are held for a part of the sequences at a time.
nn::ValidationScore LabelObjective::validate(const nn::Parameters<float>&) const {
  constexpr Index kEvents = Index{1} << 17;
  const Index n = validation_.sequences.size;
  Matrix<float> outputs(validation_.y.size(), validation_.y.n_outputs());
  Index done = 0;
  for (Index begin = 0; begin < n;) {
    Index end = begin, events = 0;
    while (end < n && (end == begin || events < kEvents)) {
      events += validation_.sequences.length(end++);
    }
    SequencesView part = validation_.sequences;
    part.starts += begin;
    part.stops += begin;
    part.size = end - begin;
    const Matrix<float> logits =
        state_.decide(state_.encode(part, rows_of_, num_threads_, progress_, where_));
    outputs.middleRows(done, logits.rows()) = logits;
    done += logits.rows();
    begin = end;
  }
  if (validation_.y.task == Task::kRegression) {
    outputs.array() = (outputs.array() - state_.target_mean) / state_.target_std;
  }
  return score(outputs, validation_.y, state_.options.selection);
}

nn::ValidationScore score(const Matrix<float>& outputs, const Targets& y, const std::string& by) {
  autograd::Tape<float> tape;
  const Index n = outputs.rows(), cols = outputs.cols();
  const auto logits = tape.constant(outputs);
  double loss = 0.0;
  if (y.task == Task::kMulticlass) {
    Matrix<float> targets = Matrix<float>::Zero(n, cols);
    for (Index i = 0; i < n; ++i) targets(i, static_cast<Index>(y.values[at(i)])) = 1.0F;
    loss = static_cast<double>(autograd::cross_entropy(logits, targets, nullptr).value()(0, 0));
  } else {
    const MatrixView<float> targets(y.values.data(), n, 1);
    const auto sum = y.task == Task::kBinary
                         ? autograd::binary_cross_entropy(logits, targets, nullptr)
                         : autograd::squared_error(logits, targets, nullptr);
    loss = static_cast<double>(sum.value()(0, 0));
  }
  loss /= static_cast<double>(n);
  nn::ValidationScore out{-loss, loss};
  const auto positives = std::count(y.values.begin(), y.values.end(), 1.0F);
  if (y.task == Task::kBinary && positives > 0 && positives < n && by != "loss") {
    out.score = nn::ranking_score({outputs.data(), at(n)}, y.values, by);
  }
  return out;
}

std::vector<float> initial_head_bias(const Targets& y, const std::vector<float>& class_weight) {
  if (y.task == Task::kRegression) return {0.0F};
  std::vector<double> mass(static_cast<std::size_t>(y.n_classes), 1e-3);
  for (const float value : y.values) {
    const auto c = static_cast<std::size_t>(value);
    mass[c] += class_weight.empty() ? 1.0 : static_cast<double>(class_weight[c]);
  }
  if (y.task == Task::kBinary) return {static_cast<float>(std::log(mass[1] / mass[0]))};
  const double total = std::accumulate(mass.begin(), mass.end(), 0.0);
  std::vector<float> out;
  for (const double m : mass) out.push_back(static_cast<float>(std::log(m / total)));
  return out;
}

}  // namespace ecseq::encoders
