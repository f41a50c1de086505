#include "ecseq/encoders/sequence_encoder.hpp"

#include <utility>

#include "ecseq/core/require.hpp"
#include "encoder_state.hpp"

namespace ecseq::encoders {

SequenceEncoder::SequenceEncoder(std::shared_ptr<const EncoderState> state)
    : state_(std::move(state)) {}

bool SequenceEncoder::has_head() const { return state_->has_head(); }
const EncoderOptions& SequenceEncoder::options() const { return state_->options; }
Task SequenceEncoder::task() const { return state_->task; }
int SequenceEncoder::n_classes() const { return state_->n_classes; }
Index SequenceEncoder::input_features() const { return state_->events.features(); }
Index SequenceEncoder::n_outputs() const { return state_->head.out(); }
const nn::TrainingReport& SequenceEncoder::report() const { return state_->report; }

Matrix<float> SequenceEncoder::encode(const SequencesView& sequences, int num_threads,
                                      const ProgressCallback& progress) const {
  state_->require_fit(sequences, "sequences");
  validate(sequences);
  return state_->encode(sequences, RowsOf::kSequences, num_threads, progress,
                        {"encode", 0, sequences.size, ""});
}

Matrix<float> SequenceEncoder::encode_events(const SequencesView& sequences, int num_threads,
                                             const ProgressCallback& progress) const {
  state_->require_fit(sequences, "sequences");
  validate(sequences);
  return state_->encode(sequences, RowsOf::kEvents, num_threads, progress,
                        {"encode", 0, sequences.size, ""});
}

Matrix<float> SequenceEncoder::decide(MatrixView<float> embedding) const {
  if (!has_head()) throw InvalidArgument("decide: the encoder was not trained on labels");
  if (embedding.cols != embedding_size()) {
    throw InvalidArgument("embedding: expected " + std::to_string(embedding_size()) +
                          " columns, got " + std::to_string(embedding.cols));
  }
  return state_->decide(embedding);
}

NamedTensors::Map SequenceEncoder::tensors() const {
  NamedTensors::Map out;
  for (std::size_t id = 0; id < state_->parameters.entries().size(); ++id) {
    const auto& entry = state_->parameters.entries()[id];
    out[entry.name] = {state_->parameters.shared(static_cast<int>(id)), entry.rows, entry.cols};
  }
  state_->events.add_to(out);
  if (has_head()) {
    out["target.mean"] = Matrix<float>::Constant(1, 1, state_->target_mean);
    out["target.std"] = Matrix<float>::Constant(1, 1, state_->target_std);
  }
  return out;
}

SequenceEncoder SequenceEncoder::from_tensors(const NamedTensors::Map& tensors,
                                              const EncoderOptions& options, Task task,
                                              int n_classes) {
  require_valid(options);
  require_class_weights(options.class_weight, task, n_classes);
  if (task == Task::kMulticlass) require_at_least("n_classes", n_classes, 2);
  NamedTensors named(tensors);
  auto state = std::make_shared<EncoderState>();
  Index numbers = 0;
  for (const auto& [name, tensor] : tensors) numbers += tensor.size();
  state->parameters = nn::Parameters<float>::of_file(numbers);
  state->options = options;
  state->task = task;
  state->n_classes = n_classes;
  state->events = EventEncoder(named, options);
  Rng rng(0);
  state->declare(rng);
  if (named.has("head.weight")) {
    state->declare_head(Targets{task, n_classes, {}}.n_outputs(), rng);
    state->target_mean = named.take("target.mean", 1, 1)(0, 0);
    state->target_std = named.take("target.std", 1, 1)(0, 0);
  }
  for (std::size_t id = 0; id < state->parameters.entries().size(); ++id) {
    const auto& entry = state->parameters.entries()[id];
    state->parameters.give(static_cast<int>(id),
                           named.take(entry.name, entry.rows, entry.cols).owner());
  }
  named.require_all_taken();
  state->pack();
  return SequenceEncoder(std::move(state));
}

}  // namespace ecseq::encoders
