#include <algorithm>
#include <cmath>
#include <type_traits>

#include "ecseq/autograd/operations.hpp"
#include "encoder_state.hpp"
#include "label_objective.hpp"
#include "next_event_objective.hpp"

namespace ecseq::encoders {
namespace {

constexpr Index kLargestBatch = 512;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

void require_validation(const Targets& y, const Targets& y_validation, Index rows) {
  if (y_validation.task != y.task || y_validation.n_classes != y.n_classes) {
    throw InvalidArgument("y_validation: expected the task and number of classes of y");
  }
  if (y_validation.size() != rows) {
    throw InvalidArgument("y_validation: expected " + std::to_string(rows) + " labels, got " +
                          std::to_string(y_validation.size()));
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

/// What both ways of training ask for before any work.
void require_training(const SequencesView& training, const SequencesView& validation,
                      const EncoderOptions& options) {
  require_valid(options);
  if (training.size < 1) {
    throw InvalidArgument("training: expected at least one sequence, got none");
  }
  validate(training);
  if (validation.size > 0) validate(validation);
}

/// Dropout may differ: it acts on training alone.
void require_same_network(const EncoderOptions& options, const EncoderState& start) {
  visit_architecture(options, [&](const char* name, const auto& value) {
    visit_architecture(start.options, [&](const char* other_name, const auto& other) {
      if constexpr (std::is_same_v<decltype(value), decltype(other)>) {
        const std::string option = name;
        if (option != other_name || option == "dropout" || value == other) return;
        throw InvalidArgument("start: '" + option + "' differs from the encoder to go on from");
      }
    });
  });
}

/// A network for `training`: random weights, or those of `start`.
std::shared_ptr<EncoderState> new_state(const SequencesView& training,
                                        const EncoderOptions& options, const EncoderState* start) {
  auto state = std::make_shared<EncoderState>();
  state->options = options;
  Rng rng(options.training.seed, 1);
  if (start == nullptr) {
    state->events = EventEncoder(training, options);
    state->declare(rng);
  } else {
    require_same_network(options, *start);
    state->events = start->events;
    state->declare(rng);
    const std::vector<float> weights = start->parameters.values();
    auto& ours = state->parameters.flat();
    std::copy_n(weights.begin(), ours.size(), ours.begin());  // the head's come last
  }
  state->require_fit(training, "training");
  return state;
}

/// Adds the head and the target's scale: start's where it answered the same question.
void add_head(EncoderState& state, const Targets& y, const EncoderState* start) {
  state.task = y.task;
  state.n_classes = y.n_classes;
  Rng rng(state.options.training.seed, 2);
  state.declare_head(y.n_outputs(), rng);
  const bool goes_on = start != nullptr && start->has_head() && start->task == y.task &&
                       start->n_classes == y.n_classes;
  if (goes_on) {
    state.parameters.flat() = start->parameters.values();
    state.target_mean = start->target_mean;
    state.target_std = start->target_std;
    return;
  }
  const auto bias = initial_head_bias(y, state.options.class_weight);
  std::copy(bias.begin(), bias.end(), state.parameters.writable(state.head_bias));
  if (y.task != Task::kRegression) return;
  double sum = 0.0, squares = 0.0;
  const auto n = static_cast<double>(y.values.size());
  for (const float v : y.values) sum += static_cast<double>(v);
  const double mean = sum / n;
  for (const float v : y.values) {
    squares += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean);
  }
  const double std = std::sqrt(squares / n);
  state.target_mean = static_cast<float>(mean);
  state.target_std = std > std::max(1e-30, 1e-6 * std::abs(mean)) ? static_cast<float>(std) : 1.0F;
}

Targets standardised(Targets y, const EncoderState& state) {
  if (y.task == Task::kRegression) {
    for (float& v : y.values) v = (v - state.target_mean) / state.target_std;
  }
  return y;
}

/// Sequences per tape: fewer where they are long or predictions wide, so that a shard's activations
/// stay small and the caller hears of progress, and so that a batch of few long sequences is shared
/// by threads. Depends on the data and the options alone, as results do on it.
Index shard_size(const nn::TrainingOptions& options, bool is_transformer,
                 const SequencesView& training, const Objective& objective) {
  // A Transformer keeps far more of each event, and a shard should stay in the cache.
  const double most_events = is_transformer ? 1 << 9 : 1 << 14;
  constexpr double kOutputs = 1 << 22;
  constexpr double kWorthSharing = 1 << 11;  // events
  const double mean_length =
      static_cast<double>(training.total_length()) / static_cast<double>(training.size);
  const double events = std::min(most_events, kOutputs / static_cast<double>(objective.outputs()));
  const auto batch = static_cast<double>(std::min(options.batch_size, training.size));
  const double shares = std::clamp(std::floor(batch * mean_length / kWorthSharing), 1.0, 4.0);
  const double sequences = std::min(events / mean_length, std::ceil(batch / shares));
  return std::clamp<Index>(static_cast<Index>(sequences), 1, options.shard_size);
}

nn::TrainingOptions resolved(const EncoderOptions& options, const SequencesView& training) {
  nn::TrainingOptions out = options.training;
  if (out.batch_size <= 0) {
    out.batch_size = nn::automatic_batch_size(training.size, kLargestBatch);
  }
  return out;
}

/// Trains `parameters`, of which the first ones are the state's, and gives the state the best.
void train(EncoderState& state, nn::Parameters<float>& parameters, const Objective& objective,
           const SequencesView& training, nn::TrainingOptions options,
           const ProgressCallback& progress) {
  options.shard_size = shard_size(options, state.options.is_transformer(), training, objective);
  std::vector<Index> lengths(at(training.size));
  for (Index i = 0; i < training.size; ++i) lengths[at(i)] = training.length(i);
  const auto adopt = [&](const nn::Parameters<float>& trained) {
    auto& ours = state.parameters.flat();
    std::copy_n(trained.flat().begin(), ours.size(), ours.begin());
    state.pack();
  };
  nn::TrainingProblem problem;
  problem.n_samples = training.size;
  problem.row_costs = lengths;
  problem.shard_loss = [&](const nn::BoundParameters<float>& bound, std::span<const Index> rows,
                           Rng& rng) {
    const auto batch = nn::recurrent_batch(bound.tape(), training, rows);
    const auto x = state.forward(bound, training, rows, batch, objective.rows_of(), &rng);
    return objective.loss(bound, x, rows);
  };
  if (objective.has_validation()) {
    problem.validate = [&](const nn::Parameters<float>& trained) {
      adopt(trained);
      return objective.validate(trained);
    };
  }
  problem.after_step = [&](nn::Parameters<float>& trained) { state.events.project(trained); };
  state.report = nn::train(parameters, problem, options, progress);
  adopt(parameters);
}

/// Remembers the last report, for stages that repeat it.
ProgressCallback remembering(const ProgressCallback& progress, Progress& where) {
  return [&progress, &where](const Progress& now) {
    where = now;
    return !progress || progress(now);
  };
}

}  // namespace

SequenceEncoder SequenceEncoder::fit(const SequencesView& training, const Targets& y,
                                     const SequencesView& validation, const Targets& y_validation,
                                     const EncoderOptions& options,
                                     const ProgressCallback& progress,
                                     const SequenceEncoder* start) {
  require_class_weights(options.class_weight, y.task, y.n_classes);
  require_training(training, validation, options);
  const bool per_event = options.labels_per == "event";
  if (per_event && (options.looks_ahead() || options.pooling != "last")) {
    throw InvalidArgument(
        "labels_per: labels of events need a network that does not look ahead, and pooling "
        "'last'");
  }
  const Index n_labels = per_event ? training.total_length() : training.size;
  if (start == nullptr) {
    validate(y, n_labels);
  } else {
    validate_values(y, n_labels);  // a later batch may hold one class only
  }
  require_validation(y, y_validation, per_event ? validation.total_length() : validation.size);

  const EncoderState* from = start == nullptr ? nullptr : start->state_.get();
  const auto state = new_state(training, options, from);
  if (validation.size > 0) state->require_fit(validation, "validation");
  add_head(*state, y, from);
  const nn::TrainingOptions training_options = resolved(options, training);
  Progress where{training_options.stage, 0, training.size * Index{training_options.max_epochs}, ""};
  const ProgressCallback remember = remembering(progress, where);
  const LabelledPart labelled{training, standardised(y, *state)};
  const LabelledPart held_out{validation, standardised(y_validation, *state)};
  const LabelObjective objective(*state, labelled, held_out, training_options.num_threads, progress,
                                 where);
  nn::Parameters<float> parameters = state->parameters;
  train(*state, parameters, objective, training, training_options, remember);
  return SequenceEncoder(state);
}

SequenceEncoder SequenceEncoder::pretrain(const SequencesView& training,
                                          const SequencesView& validation,
                                          const EncoderOptions& options,
                                          const ProgressCallback& progress,
                                          const SequenceEncoder* start) {
  require_training(training, validation, options);
  if (options.looks_ahead()) {
    throw InvalidArgument(
        "next-event prediction needs a network that does not look ahead: set " +
        std::string(options.is_transformer() ? "causal=true" : "bidirectional=false"));
  }
  const auto state = new_state(training, options, start == nullptr ? nullptr : start->state_.get());
  if (validation.size > 0) state->require_fit(validation, "validation");
  const nn::TrainingOptions training_options = resolved(options, training);
  Progress where{training_options.stage, 0, training.size * Index{training_options.max_epochs}, ""};
  const ProgressCallback remember = remembering(progress, where);
  nn::Parameters<float> parameters = state->parameters;
  Rng rng(options.training.seed, 3);
  const NextEventObjective objective(*state, training, validation, training_options.num_threads,
                                     progress, where, parameters, rng);
  train(*state, parameters, objective, training, training_options, remember);
  return SequenceEncoder(state);
}

SequenceEncoder SequenceEncoder::tune(const SequenceEncoder& start, const SequencesView& training,
                                      nn::Parameters<float>& own,
                                      const EmbeddingObjective& objective,
                                      const nn::TrainingOptions& options,
                                      const ProgressCallback& progress) {
  if (!start.has_head()) {
    throw InvalidArgument("start: tuning takes an encoder with a head");
  }
  EncoderOptions same = start.options();
  same.training = options;
  require_training(training, {}, same);
  const auto state = new_state(training, same, start.state_.get());
  state->task = start.task();
  state->n_classes = start.n_classes();
  Rng rng(options.seed, 2);
  state->declare_head(start.n_outputs(), rng);
  state->parameters.flat() = start.state_->parameters.values();
  state->target_mean = start.state_->target_mean;
  state->target_std = start.state_->target_std;
  state->pack();

  // The encoder's parameters, then the caller's.
  nn::Parameters<float> parameters = state->parameters;
  const int first = static_cast<int>(parameters.entries().size());
  const int count = static_cast<int>(own.entries().size());
  for (int i = 0; i < count; ++i) {
    const auto& entry = own.entry(i);
    const int id = parameters.add("own." + entry.name, entry.rows, entry.cols);
    std::copy_n(own.data(i), entry.rows * entry.cols, parameters.writable(id));
  }
  const auto adopt = [&](const nn::Parameters<float>& trained) {
    auto& ours = state->parameters.flat();
    std::copy_n(trained.flat().begin(), ours.size(), ours.begin());
    std::copy_n(trained.flat().begin() + static_cast<std::ptrdiff_t>(ours.size()),
                own.flat().size(), own.flat().begin());
    state->pack();
  };
  std::vector<Index> lengths(at(training.size));
  for (Index i = 0; i < training.size; ++i) lengths[at(i)] = training.length(i);
  nn::TrainingProblem problem;
  problem.n_samples = training.size;
  problem.row_costs = lengths;
  problem.shard_loss = [&](const nn::BoundParameters<float>& bound, std::span<const Index> rows,
                           Rng& draws) {
    const auto batch = nn::recurrent_batch(bound.tape(), training, rows);
    const auto x = state->forward(bound, training, rows, batch, RowsOf::kSequences, &draws);
    const auto head = autograd::linear(x, bound[state->head_weight], bound[state->head_bias]);
    std::vector<autograd::Variable<float>> variables;
    for (int i = 0; i < count; ++i) variables.push_back(bound[first + i]);
    const nn::BoundParameters<float> theirs(bound.tape(), variables);
    return objective.loss(theirs, x, head, rows, draws);
  };
  problem.validate = [&](const nn::Parameters<float>& trained) {
    adopt(trained);
    return objective.validate(SequenceEncoder(state), own);
  };
  problem.after_step = [&](nn::Parameters<float>& trained) { state->events.project(trained); };
  nn::TrainingOptions how = options;
  if (how.batch_size <= 0) how.batch_size = nn::automatic_batch_size(training.size, kLargestBatch);
  state->report = nn::train(parameters, problem, how, progress);
  adopt(parameters);
  return SequenceEncoder(state);
}

}  // namespace ecseq::encoders
