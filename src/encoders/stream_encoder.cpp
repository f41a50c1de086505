#include "ecseq/encoders/stream_encoder.hpp"

#include <algorithm>

#include "encoder_state.hpp"

namespace ecseq::encoders {

StreamEncoder::StreamEncoder(const SequenceEncoder& encoder) : state_(encoder.state_) {}

Index StreamEncoder::features() const { return state_->events.features(); }
Index StreamEncoder::embedding_size() const { return state_->options.embedding_size(); }
bool StreamEncoder::reads_times() const { return state_->events.reads_times(); }

std::optional<Index> StreamEncoder::max_length() const {
  const auto& options = state_->options;
  if (!options.is_transformer() || options.transformer.positions != "learned") return {};
  return options.transformer.max_length;
}

void StreamEncoder::encode(const float* events, const double* times, Index length, float* out,
                           Arena& memory) const {
  const EventEncoder& reader = state_->events;
  kernels::EventRun run{events, length, 0, 0};
  kernels::LayerSource<float> source{reader.standardisation()};
  if (state_->needs_table()) {
    float* const table = memory.take<float>(length * reader.inputs());
    const std::int64_t begin = 0, end = length;
    reader.encode(state_->parameters, {{events, length, features()}, &begin, &end, 1, times}, 0,
                  table);
    source = {{}, table};
  }
  const Index width = embedding_size();
  if (state_->pooling.is_last()) {
    state_->backbone->run({&run, 1}, source, nn::StatesOf::kLastStep, out, width, memory);
    return;
  }
  float* const states = memory.take<float>(length * width);
  state_->backbone->run({&run, 1}, source, nn::StatesOf::kEveryStep, states, width, memory);
  state_->pooling.pool(states, length, out, memory);
}

std::optional<Index> StreamEncoder::state_size() const {
  const auto layers = state_->backbone->state_size();
  if (!layers) return {};
  return *layers + state_->pooling.state_size();
}

void StreamEncoder::advance(const float* event, double time, const double* before, Index count,
                            float* state, float* out, Arena& memory) const {
  float* const encoded = memory.take<float>(state_->events.inputs());
  state_->events.encode(state_->parameters, event, time, before, encoded);
  state_->backbone->advance(encoded, state, out, memory);
  state_->pooling.advance(out, count, state + *state_->backbone->state_size(), out, memory);
}

bool StreamEncoder::has_head() const { return state_->has_head(); }

void StreamEncoder::decide(const float* embedding, float* out, Arena& memory) const {
  float* const padded = memory.take<float>(state_->head.padded());
  kernels::project_row(state_->head, embedding, padded);
  for (Index j = 0; j < state_->head.out(); ++j) {
    out[j] = state_->task == Task::kRegression
                 ? state_->target_mean + state_->target_std * padded[j]
                 : padded[j];
  }
}

}  // namespace ecseq::encoders
