#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "ecseq/core/error.hpp"
#include "ecseq/kernels/finite.hpp"
#include "ecseq/kernels/flush_denormals.hpp"
#include "frozen.hpp"

// One event at a time: the block's numbers are copied into the workspace, advanced there, and
// copied back at the end, so that whatever is refused on the way has left the block alone.

namespace ecseq::serving {
namespace {

StateHead head_of(std::span<const std::byte> block) {
  StateHead head;
  std::memcpy(&head, block.data(), sizeof head);
  return head;
}

}  // namespace

std::uint64_t Scorer::encoder_id() const { return frozen_->encoder_id; }
Index Scorer::window() const { return frozen_->window; }

std::size_t Scorer::state_size() const {
  if (!frozen_->encoder) {
    throw InvalidArgument("state: the model has no encoder; score the embedding of each moment");
  }
  return frozen_->state_size();
}

void Scorer::start(std::span<std::byte> block, std::uint64_t user) const {
  if (block.size() != state_size()) {
    throw InvalidArgument("state: expected a block of " + std::to_string(state_size()) +
                          " bytes, got " + std::to_string(block.size()));
  }
  StateHead head;
  head.encoder = encoder_id();
  head.user = user;
  std::memset(block.data(), 0, block.size());
  std::memcpy(block.data(), &head, sizeof head);
}

State Scorer::start(std::uint64_t user) const {
  State state(state_size());
  start(state.block(), user);
  return state;
}

bool Scorer::accepts(std::span<const std::byte> block) const {
  if (!frozen_->encoder || block.size() != frozen_->state_size()) return false;
  const StateHead head = head_of(block);
  return head.magic == StateHead::kMagic && head.version == StateHead::kVersion &&
         head.encoder == encoder_id();
}

/// A block after one event more, in the workspace.
struct Scorer::Advanced {
  StateHead head;
  const double* times;
  const float* numbers;
  const float* x;  ///< [h] the embedding

  void write(std::span<std::byte> block, const Frozen& frozen) const {
    const std::size_t time_bytes = sizeof(double) * static_cast<std::size_t>(frozen.state_times);
    const std::size_t number_bytes = sizeof(float) * static_cast<std::size_t>(frozen.state_numbers);
    std::byte* const payload = block.data() + sizeof head;
    std::memcpy(block.data(), &head, sizeof head);
    std::memcpy(payload, times, time_bytes);
    std::memcpy(payload + time_bytes, numbers, number_bytes);
  }
};

Scorer::Advanced Scorer::advance(std::span<const std::byte> block, const Event& event,
                                 Workspace& workspace) const {
  const Frozen& frozen = *frozen_;
  if (!accepts(block)) {
    state_size();  // refuses a model without encoder
    throw InvalidArgument(
        "state: not one of this model's encoder, or of another window; start a new one");
  }
  const Index features = n_features();
  if (static_cast<Index>(event.values.size()) != features) {
    throw InvalidArgument("event: expected " + std::to_string(features) + " values, got " +
                          std::to_string(event.values.size()));
  }
  if (!kernels::all_finite(event.values.data(), features)) {
    require_finite({event.values.data(), 1, features}, "event");
  }
  if (!std::isfinite(event.time)) {
    throw InvalidArgument("time: expected a finite number of seconds, got " +
                          std::to_string(event.time));
  }
  frozen.require_entities(event.time, event.entities);
  StateHead head = head_of(block);
  if (reads_event_times() && head.events > 0 && event.time < head.time) {
    throw InvalidArgument("time: " + std::to_string(event.time) +
                          " is earlier than the user's latest event at " +
                          std::to_string(head.time));
  }

  Arena& memory = workspace.memory;
  memory.reset();
  float* const x = memory.take<float>(embedding_size());
  double* const times = memory.take<double>(frozen.state_times);
  float* const numbers = memory.take<float>(frozen.state_numbers);
  const std::size_t time_bytes = sizeof(double) * static_cast<std::size_t>(frozen.state_times);
  const std::size_t number_bytes = sizeof(float) * static_cast<std::size_t>(frozen.state_numbers);
  const std::byte* const payload = block.data() + sizeof head;
  std::memcpy(times, payload, time_bytes);
  std::memcpy(numbers, payload + time_bytes, number_bytes);
  const auto before = static_cast<Index>(std::min<std::uint64_t>(head.events, 1U << 30));
  if (frozen.window == 0) {
    frozen.encoder->advance(event.values.data(), event.time, head.events > 0 ? &head.time : nullptr,
                            before + 1, numbers, x, memory);
  } else {
    Index held = std::min(before, frozen.window);
    if (held == frozen.window) {  // the oldest goes
      --held;
      std::memmove(numbers, numbers + features,
                   sizeof(float) * static_cast<std::size_t>(held * features));
      if (frozen.state_times > 0) {
        std::memmove(times, times + 1, sizeof(double) * static_cast<std::size_t>(held));
      }
    }
    std::copy_n(event.values.data(), features, numbers + held * features);
    if (frozen.state_times > 0) times[held] = event.time;
    frozen.encoder->encode(numbers, frozen.state_times > 0 ? times : nullptr, held + 1, x, memory);
  }
  ++head.events;
  head.time = event.time;
  return {head, times, numbers, x};
}

Score Scorer::update(std::span<std::byte> block, const Event& event, Workspace& workspace,
                     const EntityReader* live) const {
  const kernels::FlushDenormals flush;
  const Advanced next = advance(block, event, workspace);
  const Score score = frozen_->finish({next.x, event.time, event.entities}, live, workspace);
  next.write(block, *frozen_);
  return score;
}

float Scorer::update(State& state, const Event& event, const EntityReader* live) const {
  require_one_output("update");
  return update(state.block(), event, Workspace::of_this_thread(), live).value();
}

pipeline::Explanation Scorer::explain_update(std::span<const std::byte> block, const Event& event,
                                             Index top, const EntityReader* live,
                                             const std::string& method) const {
  const Advanced next = [&] {
    const kernels::FlushDenormals flush;
    return advance(block, event, Workspace::of_this_thread());
  }();
  pipeline::Samples samples;
  samples.embedding = {next.x, 1, embedding_size()};
  samples.encoded = true;
  return explain_samples(std::move(samples), event.time, event.entities, top, live, method);
}

}  // namespace ecseq::serving
