#include "ecseq/encoders/sequence_encoder.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/kernels/dense.hpp"
#include "ecseq/kernels/flush_denormals.hpp"
#include "ecseq/nn/pool_states.hpp"
#include "ecseq/nn/ranking_metrics.hpp"
#include "ecseq/nn/recurrent_network.hpp"

namespace ecseq::encoders {
namespace {

using Row = Matrix<float>;  // [1, n]

constexpr Index kLargestBatch = 512;
constexpr int kMostLayers = 4;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// f(LstmCell{}) or f(GruCell{})
template <class F>
auto with_cell(const EncoderOptions& options, const F& f) {
  return options.cell == "gru" ? f(kernels::GruCell{}) : f(kernels::LstmCell{});
}

Index gates_of(const EncoderOptions& options) {
  return with_cell(options, [](auto cell) { return Index{cell.kGates}; });
}

/// The tensor `what` of cell number `cell`: "lstm.bias", "lstm.bias_backward", "lstm.bias_1", ...
std::string tensor_name(const EncoderOptions& options, const char* what, int cell) {
  const int layer = cell / options.directions();
  std::string name = options.cell + "." + what;
  if (layer > 0) name += "_" + std::to_string(layer);
  if (cell % options.directions() == 1) name += "_backward";
  return name;
}

/// What cell number `cell` reads per event.
Index inputs_of(const EncoderOptions& options, Index features, int cell) {
  return cell < options.directions() ? features : options.embedding_size();
}

void check_options(const EncoderOptions& options, Task task, int n_classes) {
  require_one_of("cell", options.cell, {"lstm", "gru"});
  require_at_least("n_layers", options.n_layers, 1);
  if (options.n_layers > kMostLayers) {
    throw InvalidArgument("n_layers: expected 1 to " + std::to_string(kMostLayers) + ", got " +
                          std::to_string(options.n_layers));
  }
  require_one_of("pooling", options.pooling, {"last", "mean", "max"});
  if (!(options.dropout >= 0 && options.dropout < 1)) {
    throw InvalidArgument("dropout: expected at least 0 and below 1, got " +
                          std::to_string(options.dropout));
  }
  require_at_least("hidden_size", options.hidden_size, 1);
  const auto& weight = options.class_weight;
  if (weight.empty()) return;
  if (task == Task::kRegression) {
    throw InvalidArgument("class_weight: expected none for regression");
  }
  if (weight.size() != static_cast<std::size_t>(n_classes)) {
    throw InvalidArgument("class_weight: expected " + std::to_string(n_classes) +
                          " weights, one per class, got " + std::to_string(weight.size()));
  }
  for (std::size_t c = 0; c < weight.size(); ++c) {
    if (!std::isfinite(weight[c]) || weight[c] < 0) {
      throw InvalidArgument("class_weight: expected numbers >= 0, got " +
                            std::to_string(weight[c]) + " for class " + std::to_string(c));
    }
  }
}

void check_validation(const Targets& y, const Targets& y_validation, Index rows) {
  if (rows < 1) throw InvalidArgument("validation: expected at least one sequence, got none");
  if (y_validation.task != y.task || y_validation.n_classes != y.n_classes) {
    throw InvalidArgument("y_validation: expected the task and number of classes of y");
  }
  if (y_validation.size() != rows) {
    throw InvalidArgument("y_validation: expected " + std::to_string(rows) +
                          " labels, one per sequence, got " + std::to_string(y_validation.size()));
  }
  // Held-out labels may be of one class only.
  for (Index i = 0; i < rows; ++i) {
    const float value = y_validation.values[at(i)];
    const bool real = std::isfinite(value);
    const bool number =
        real && value >= 0 && value < static_cast<float>(y.n_classes) && value == std::floor(value);
    if (y.task == Task::kRegression ? real : number) continue;
    throw InvalidArgument("y_validation: value at row " + std::to_string(i) +
                          (y.task == Task::kRegression
                               ? std::string(" is not finite")
                               : " is not a class number 0.." + std::to_string(y.n_classes - 1)));
  }
}

/// Mean and 1 / standard deviation of each column over the events that some sequence covers, each
/// counted once; sums in double, in the order of the table. Constant columns get scale 1.
void feature_statistics(const SequencesView& sequences, Row& mean, Row& scale) {
  const Index events = sequences.values.rows, features = sequences.features();
  std::vector<Index> opened(at(events + 1), 0);
  for (Index i = 0; i < sequences.size; ++i) {
    ++opened[at(sequences.starts[i])];
    --opened[at(sequences.stops[i])];
  }
  std::partial_sum(opened.begin(), opened.end(), opened.begin());
  const auto for_each = [&](auto visit) {
    for (Index i = 0; i < events; ++i) {
      if (opened[at(i)] > 0) visit(sequences.values.row(i));
    }
  };
  Index count = 0;
  std::vector<double> sum(at(features), 0.0), squares(at(features), 0.0);
  for_each([&](const float* x) {
    ++count;
    for (Index k = 0; k < features; ++k) sum[at(k)] += static_cast<double>(x[k]);
  });
  for (double& s : sum) s /= static_cast<double>(count);
  for_each([&](const float* x) {
    for (Index k = 0; k < features; ++k) {
      const double d = static_cast<double>(x[k]) - sum[at(k)];
      squares[at(k)] += d * d;
    }
  });
  mean.resize(1, features);
  scale.resize(1, features);
  for (Index k = 0; k < features; ++k) {
    const double std = std::sqrt(squares[at(k)] / static_cast<double>(count));
    // A spread that float cannot tell from the mean's rounding is a constant column.
    const bool constant = std <= std::max(1e-30, 1e-6 * std::abs(sum[at(k)]));
    mean(0, k) = static_cast<float>(sum[at(k)]);
    scale(0, k) = constant ? 1.0F : static_cast<float>(1.0 / std);
  }
}

/// What the head starts from, so that the first epochs are not spent on the base rate: log odds
/// for two classes, log frequencies for several, 0 for standardised values. Weights count.
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

/// outputs: [n, n_outputs], as the head gives them before any target scaling; targets: the values
/// of `y`, standardised for regression.
nn::ValidationScore score(const Matrix<float>& outputs, const Targets& y) {
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
  if (y.task == Task::kBinary && positives > 0 && positives < n) {
    const std::span<const float> scores(outputs.data(), at(n));
    out.score = 0.5 * (nn::roc_auc(scores, y.values) + nn::average_precision(scores, y.values));
  }
  return out;
}

}  // namespace

/// The layers over some sequences.
class SequenceEncoder::Forward {
 public:
  /// runs: longest first; out: [sequences, embedding_size], whose rows `result` are written.
  template <class Cell>
  static void run(const SequenceEncoder& encoder, Cell, std::span<kernels::EventRun> runs,
                  Matrix<float>& out) {
    const EncoderOptions& options = encoder.options_;
    // All states of a layer are held for as many sequences at once as keep to this many events.
    constexpr Index kEvents = Index{1} << 14;
    const Index hidden = options.hidden_size, width = options.embedding_size();
    const bool pooled = options.pooling != "last";
    const int directions = options.directions(), layers = options.n_layers;
    const kernels::Standardisation standardisation{encoder.feature_mean_.data(),
                                                   encoder.feature_scale_.data()};
    std::vector<kernels::RecurrentWeights<float, Cell::kGates>> weights;
    Index scratch_size = 0;
    for (const CellWeights& cell : encoder.cells_) {
      weights.push_back(kernels::recurrent_weights_at<float, Cell::kGates>(
          cell.weight_input.rows(), hidden, cell.packed.data()));
      scratch_size =
          std::max(scratch_size, kernels::recurrent_scratch_size<Cell, float>(weights.back()));
    }
    Eigen::ArrayXf scratch(scratch_size);
    Matrix<float> below, states;  // [events of the group, width]
    while (!runs.empty()) {
      Index size = static_cast<Index>(runs.size());
      if (layers > 1 || pooled) size = std::clamp<Index>(kEvents / runs.front().length, 1, size);
      Index events = 0;
      for (Index i = 0; i < size; ++i) {
        runs[at(i)].first = events;
        events += runs[at(i)].length;
      }
      for (int layer = 0; layer < layers; ++layer) {
        const bool last = layer + 1 == layers && !pooled;
        if (!last) states.resize(events, width);
        const kernels::LayerSource<float> source{standardisation,
                                                 layer == 0 ? nullptr : below.data()};
        for (int direction = 0; direction < directions; ++direction) {
          const auto& w = weights[static_cast<std::size_t>(layer * directions + direction)];
          float* const to = (last ? out.data() : states.data()) + direction * hidden;
          if (last) {
            kernels::recurrent_layer<Cell, false>(w, source, direction == 1, runs.data(), size, to,
                                                  width, scratch.data());
          } else {
            kernels::recurrent_layer<Cell, true>(w, source, direction == 1, runs.data(), size, to,
                                                 width, scratch.data());
          }
        }
        below.swap(states);
      }
      if (pooled) {
        for (const auto& run : runs.first(at(size))) {
          const float* rows = below.row(run.first).data();
          float* const to = out.row(run.result).data();
          if (options.pooling == "mean") {
            kernels::mean_of_rows(rows, run.length, width, to);
          } else {
            kernels::max_of_rows(rows, run.length, width, to, nullptr);
          }
        }
      }
      runs = runs.subspan(at(size));
    }
  }
};

/// The trainable part of an encoder and its loss.
class SequenceEncoder::Fit {
 public:
  Fit(SequenceEncoder& encoder, const SequencesView& training, const Targets& y)
      : encoder_(encoder), training_(training), y_(y) {
    const Index hidden = encoder.options_.hidden_size;
    const double bound = 1.0 / std::sqrt(static_cast<double>(hidden));
    // Training shuffles and drops with other streams of the same seed.
    Rng rng(encoder.options_.training.seed, ~std::uint64_t{0});
    const Index size = gates_of(encoder.options_) * hidden;
    for (int c = 0; c < encoder.options_.n_cells(); ++c) {
      const auto name = [&](const char* what) { return tensor_name(encoder.options_, what, c); };
      const Index inputs = inputs_of(encoder.options_, training.features(), c);
      // One after the other: the order of the draws is part of what a seed means.
      CellNumbers numbers{};
      numbers.weight_input =
          parameters_.add_uniform(name("weight_input"), inputs, size, bound, rng);
      numbers.weight_hidden =
          parameters_.add_uniform(name("weight_hidden"), hidden, size, bound, rng);
      numbers.bias = parameters_.add_uniform(name("bias"), 1, 4 * hidden, bound, rng);
      cells_.push_back(numbers);
    }
    head_weight_ =
        parameters_.add_uniform("head.weight", encoder.embedding_size(), y.n_outputs(), bound, rng);
    head_bias_ = parameters_.add("head.bias", 1, y.n_outputs());
    // An open forget gate lets the first gradients reach early events (Jozefowicz et al. 2015).
    if (encoder.options_.cell == "lstm") {
      for (const CellNumbers& cell : cells_) {
        for (Index j = 0; j < hidden; ++j) parameters_.data(cell.bias)[hidden + j] += 1.0F;
      }
    }
    const auto head_bias = initial_head_bias(y, encoder.options_.class_weight);
    std::copy(head_bias.begin(), head_bias.end(), parameters_.data(head_bias_));
  }

  nn::Parameters<float>& parameters() { return parameters_; }

  /// The sum of the losses of sequences `rows`.
  autograd::Variable<float> loss(const nn::BoundParameters<float>& p, std::span<const Index> rows,
                                 Rng& rng) const {
    auto& tape = p.tape();
    const auto n = static_cast<Index>(rows.size());
    const EncoderOptions& options = encoder_.options_;
    auto* const cells = tape.template scratch_of<nn::CellVariables<float>>(options.n_cells());
    for (std::size_t c = 0; c < cells_.size(); ++c) {
      cells[c] = {p[cells_[c].weight_input], p[cells_[c].weight_hidden], p[cells_[c].bias]};
    }
    const kernels::Standardisation standardisation{encoder_.feature_mean_.data(),
                                                   encoder_.feature_scale_.data()};
    const auto batch = nn::recurrent_batch(tape, training_, rows);
    const bool pooled = options.pooling != "last";
    auto state = with_cell(options, [&]<class Cell>(Cell) {
      return nn::recurrent_network<float, Cell>(
          batch, standardisation, {cells, cells_.size()}, {options.bidirectional, options.dropout},
          pooled ? nn::StatesOf::kEveryStep : nn::StatesOf::kLastStep, rng);
    });
    if (pooled) {
      state = nn::pool_states(batch, state,
                              options.pooling == "mean" ? nn::Pooling::kMean : nn::Pooling::kMax);
    }
    const auto logits = autograd::linear(state, p[head_weight_], p[head_bias_]);
    const auto& class_weight = encoder_.options_.class_weight;
    float* weights = class_weight.empty() ? nullptr : tape.scratch(n);
    const Index cols = y_.task == Task::kMulticlass ? y_.n_classes : 1;
    float* targets = tape.scratch(n * cols);
    std::fill_n(targets, n * cols, 0.0F);
    for (Index i = 0; i < n; ++i) {
      const float value = y_.values[at(rows[at(i)])];
      if (y_.task == Task::kMulticlass) {
        targets[i * cols + static_cast<Index>(value)] = 1.0F;
      } else {
        targets[i] = value;
      }
      if (weights != nullptr) weights[i] = class_weight[static_cast<std::size_t>(value)];
    }
    const MatrixView<float> expected(targets, n, cols);
    switch (y_.task) {
      case Task::kBinary:
        return autograd::binary_cross_entropy(logits, expected, weights);
      case Task::kMulticlass:
        return autograd::cross_entropy(logits, expected, weights);
      default:
        return autograd::squared_error(logits, expected, weights);
    }
  }

  /// Gives the encoder the weights of `parameters`.
  void adopt(const nn::Parameters<float>& parameters) const {
    encoder_.cells_.resize(cells_.size());
    for (std::size_t c = 0; c < cells_.size(); ++c) {
      encoder_.cells_[c].weight_input = parameters.view(cells_[c].weight_input).eigen();
      encoder_.cells_[c].weight_hidden = parameters.view(cells_[c].weight_hidden).eigen();
      encoder_.cells_[c].bias = parameters.view(cells_[c].bias).eigen();
    }
    encoder_.head_weight_ = parameters.view(head_weight_).eigen();
    encoder_.head_bias_ = parameters.view(head_bias_).eigen();
    encoder_.pack();
  }

 private:
  SequenceEncoder& encoder_;
  const SequencesView& training_;
  const Targets& y_;  ///< standardised for regression
  nn::Parameters<float> parameters_;
  struct CellNumbers {
    int weight_input, weight_hidden, bias;
  };
  std::vector<CellNumbers> cells_;
  int head_weight_, head_bias_;
};

SequenceEncoder SequenceEncoder::fit(const SequencesView& training, const Targets& y,
                                     const SequencesView& validation, const Targets& y_validation,
                                     const EncoderOptions& options,
                                     const ProgressCallback& progress) {
  check_options(options, y.task, y.n_classes);
  if (training.size < 1)
    throw InvalidArgument("training: expected at least one sequence, got none");
  validate(training);
  validate(y, training.size);
  if (validation.size > 0 && validation.features() != training.features()) {
    throw InvalidArgument("validation: expected " + std::to_string(training.features()) +
                          " features per event, as in training, got " +
                          std::to_string(validation.features()));
  }
  check_validation(y, y_validation, validation.size);
  validate(validation);

  SequenceEncoder encoder;
  encoder.options_ = options;
  encoder.task_ = y.task;
  encoder.n_classes_ = y.n_classes;
  feature_statistics(training, encoder.feature_mean_, encoder.feature_scale_);

  Targets scaled = y, scaled_validation = y_validation;
  if (y.task == Task::kRegression) {
    double sum = 0.0, squares = 0.0;
    const auto n = static_cast<double>(y.values.size());
    for (const float v : y.values) sum += static_cast<double>(v);
    const double mean = sum / n;
    for (const float v : y.values) {
      squares += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean);
    }
    const double std = std::sqrt(squares / n);
    encoder.target_mean_ = static_cast<float>(mean);
    encoder.target_std_ =
        std > std::max(1e-30, 1e-6 * std::abs(mean)) ? static_cast<float>(std) : 1.0F;
    for (Targets* t : {&scaled, &scaled_validation}) {
      for (float& v : t->values) v = (v - encoder.target_mean_) / encoder.target_std_;
    }
  }

  Fit fit(encoder, training, scaled);
  std::vector<Index> lengths(at(training.size));
  for (Index i = 0; i < training.size; ++i) lengths[at(i)] = training.length(i);
  nn::TrainingOptions training_options = options.training;
  if (training_options.batch_size <= 0) {
    training_options.batch_size = nn::automatic_batch_size(training.size, kLargestBatch);
  }
  Progress where{training_options.stage, 0, training.size * Index{training_options.max_epochs}, ""};
  const ProgressCallback remember = [&](const Progress& now) {
    where = now;
    return !progress || progress(now);
  };
  encoder.report_ = nn::train(
      fit.parameters(),
      {training.size,
       [&](const nn::BoundParameters<float>& p, std::span<const Index> rows, Rng& rng) {
         return fit.loss(p, rows, rng);
       },
       [&](const nn::Parameters<float>& parameters) {
         fit.adopt(parameters);
         const Matrix<float> embedding =
             encoder.encode_checked(validation, training_options.num_threads, progress, where);
         Matrix<float> outputs = encoder.decide(embedding);
         if (encoder.task_ == Task::kRegression) {
           outputs.array() = (outputs.array() - encoder.target_mean_) / encoder.target_std_;
         }
         return score(outputs, scaled_validation);
       },
       lengths},
      training_options, remember);
  if (encoder.report_.stop_reason == "interrupted") throw Interrupted();
  fit.adopt(fit.parameters());
  return encoder;
}

void SequenceEncoder::pack() {
  with_cell(options_, [&]<class Cell>(Cell) {
    constexpr int kGates = Cell::kGates;
    for (CellWeights& cell : cells_) {
      cell.packed.resize(kernels::packed_recurrent_size<float, kGates>(cell.weight_input.rows(),
                                                                       options_.hidden_size));
      kernels::pack_recurrent<float, kGates>(cell.weight_input, cell.weight_hidden,
                                             cell.bias.data(), cell.packed.data());
    }
  });
}

Matrix<float> SequenceEncoder::encode(const SequencesView& sequences, int num_threads) const {
  if (sequences.features() != input_features()) {
    throw InvalidArgument("sequences: expected " + std::to_string(input_features()) +
                          " features per event, as in training, got " +
                          std::to_string(sequences.features()));
  }
  validate(sequences);
  return encode_checked(sequences, num_threads, {}, {});
}

Matrix<float> SequenceEncoder::encode_checked(const SequencesView& sequences, int num_threads,
                                              const ProgressCallback& progress,
                                              const Progress& where) const {
  constexpr Index kChunk = 96;  // several register and cache tiles
  // Like lengths together: the tiles stay full, and the longest work starts first.
  std::vector<kernels::EventRun> runs(at(sequences.size));
  for (Index i = 0; i < sequences.size; ++i) {
    runs[at(i)] = {sequences.events(i), sequences.length(i), i};
  }
  std::sort(runs.begin(), runs.end(), [](const auto& a, const auto& b) {
    return a.length != b.length ? a.length > b.length : a.result < b.result;
  });
  Matrix<float> out(sequences.size, embedding_size());
  const auto encode_chunk = [&](Index begin, Index end) {
    const kernels::FlushDenormals flush;
    with_cell(options_, [&](auto cell) {
      Forward::run(*this, cell, {runs.data() + begin, at(end - begin)}, out);
    });
  };
  if (!progress) {
    parallel_chunks(sequences.size, kChunk, num_threads, encode_chunk);
    return out;
  }
  // Waves of some 10 ms each, between which the caller may stop the work.
  constexpr double kWave = 1e9;
  double flops_per_event = 0.0;
  for (const CellWeights& cell : cells_) {
    flops_per_event += 2.0 * static_cast<double>(cell.packed.size());
  }
  for (Index begin = 0; begin < sequences.size;) {
    Index end = begin;
    for (double flops = 0.0; flops < kWave && end < sequences.size;) {
      const Index next = std::min(sequences.size, end + kChunk);
      for (; end < next; ++end)
        flops += flops_per_event * static_cast<double>(runs[at(end)].length);
    }
    parallel_chunks(end - begin, kChunk, num_threads,
                    [&](Index a, Index b) { encode_chunk(begin + a, begin + b); });
    begin = end;
    ecseq::report(progress, where);
  }
  return out;
}

Matrix<float> SequenceEncoder::decide(MatrixView<float> embedding) const {
  if (embedding.cols != embedding_size()) {
    throw InvalidArgument("embedding: expected " + std::to_string(embedding_size()) +
                          " columns, got " + std::to_string(embedding.cols));
  }
  // The kernel's rows do not depend on each other to the last bit; Eigen's product does not say.
  const kernels::PackedDense head(head_weight_, head_bias_.data());
  Matrix<float> out(embedding.rows, n_outputs());
  constexpr Index kRows = 64;
  Matrix<float> padded(std::min(kRows, embedding.rows), head.padded());
  for (Index begin = 0; begin < embedding.rows; begin += kRows) {
    const Index rows = std::min(kRows, embedding.rows - begin);
    kernels::multiply(head, embedding.row(begin), embedding.cols, rows, padded.data());
    out.middleRows(begin, rows) = padded.topLeftCorner(rows, out.cols());
  }
  if (task_ == Task::kRegression) {
    for (Index i = 0; i < out.size(); ++i)
      out.data()[i] = target_mean_ + target_std_ * out.data()[i];
  }
  return out;
}

std::map<std::string, Matrix<float>> SequenceEncoder::tensors() const {
  std::map<std::string, Matrix<float>> out{{"head.weight", head_weight_},
                                           {"head.bias", head_bias_},
                                           {"feature.mean", feature_mean_},
                                           {"feature.scale", feature_scale_},
                                           {"target.mean", Row::Constant(1, 1, target_mean_)},
                                           {"target.std", Row::Constant(1, 1, target_std_)}};
  for (int c = 0; c < options_.n_cells(); ++c) {
    const CellWeights& cell = cells_[static_cast<std::size_t>(c)];
    out[tensor_name(options_, "weight_input", c)] = cell.weight_input;
    out[tensor_name(options_, "weight_hidden", c)] = cell.weight_hidden;
    out[tensor_name(options_, "bias", c)] = cell.bias;
  }
  return out;
}

SequenceEncoder SequenceEncoder::from_tensors(const std::map<std::string, Matrix<float>>& tensors,
                                              const EncoderOptions& options, Task task,
                                              int n_classes) {
  check_options(options, task, n_classes);
  std::size_t used = 0;
  const auto take = [&](const std::string& name, Index rows, Index cols) -> const Matrix<float>& {
    const auto found = tensors.find(name);
    if (found == tensors.end()) throw FileError("encoder: tensor '" + name + "' is missing");
    const Matrix<float>& tensor = found->second;
    if ((rows >= 0 && tensor.rows() != rows) || tensor.cols() != cols) {
      throw FileError("encoder: tensor '" + name + "' has shape " +
                      autograd::shape_text(tensor.rows(), tensor.cols()) + ", expected [" +
                      (rows < 0 ? std::string("features") : std::to_string(rows)) + ", " +
                      std::to_string(cols) + "]");
    }
    for (Index i = 0; i < tensor.size(); ++i) {
      if (!std::isfinite(tensor.data()[i])) {
        throw FileError("encoder: tensor '" + name + "' holds a value that is not finite");
      }
    }
    ++used;
    return tensor;
  };
  SequenceEncoder encoder;
  encoder.options_ = options;
  encoder.task_ = task;
  encoder.n_classes_ = n_classes;
  const Index hidden = options.hidden_size;
  const Index outputs = Targets{task, n_classes, {}}.n_outputs();
  const Index size = gates_of(options) * hidden;
  Index features = -1;
  for (int c = 0; c < options.n_cells(); ++c) {
    const auto name = [&](const char* what) { return tensor_name(options, what, c); };
    CellWeights& cell = encoder.cells_.emplace_back();
    cell.weight_input = take(name("weight_input"), inputs_of(options, features, c), size);
    if (c == 0) features = cell.weight_input.rows();
    if (features < 1) {
      throw FileError("encoder: tensor '" + name("weight_input") + "' has no rows");
    }
    cell.weight_hidden = take(name("weight_hidden"), hidden, size);
    cell.bias = take(name("bias"), 1, 4 * hidden);
  }
  encoder.head_weight_ = take("head.weight", options.embedding_size(), outputs);
  encoder.head_bias_ = take("head.bias", 1, outputs);
  encoder.feature_mean_ = take("feature.mean", 1, features);
  encoder.feature_scale_ = take("feature.scale", 1, features);
  encoder.target_mean_ = take("target.mean", 1, 1)(0, 0);
  encoder.target_std_ = take("target.std", 1, 1)(0, 0);
  if (used != tensors.size()) {
    const auto known = encoder.tensors();
    for (const auto& [name, tensor] : tensors) {
      if (known.count(name) == 0) throw FileError("encoder: tensor '" + name + "' is not known");
    }
  }
  encoder.pack();
  return encoder;
}

}  // namespace ecseq::encoders
