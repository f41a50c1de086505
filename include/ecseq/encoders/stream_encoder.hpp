#pragma once

#include <memory>
#include <optional>

#include "ecseq/core/arena.hpp"
#include "ecseq/encoders/sequence_encoder.hpp"

namespace ecseq::encoders {

/// A fitted encoder as a service uses it: one sequence or one event at a time, on the calling
/// thread, in the caller's memory. Nothing is checked here: values are finite, sequences have an
/// event and fit the network. Immutable, and cheap to copy; one object may serve many threads.
class StreamEncoder {
 public:
  explicit StreamEncoder(const SequenceEncoder& encoder);

  /// Columns of an event and of the embedding.
  Index features() const;
  Index embedding_size() const;
  bool reads_times() const;
  /// Longest sequence that the network can read, or none for any.
  std::optional<Index> max_length() const;

  /// As SequenceEncoder::encode of this sequence, to the bit. events: [length, features];
  /// times: [length] or null; out: [embedding_size]
  void encode(const float* events, const double* times, Index length, float* out,
              Arena& memory) const;

  /// Numbers that hold all of what was read so far, so that an event costs the same however many
  /// came before: of LSTM and GRU layers in one direction. None for networks that must read a
  /// sequence as a whole.
  std::optional<Index> state_size() const;
  /// An event that follows those that `state` holds, equal up to rounding to `encode` of all.
  /// state: [state_size], zeros before the first event; event: [features]; before: time of the
  /// event before, or null for the first; count: events with this one; out: [embedding_size]
  void advance(const float* event, double time, const double* before, Index count, float* state,
               float* out, Arena& memory) const;

  /// What the encoder's own head says; only with one. embedding: [embedding_size];
  /// out: [n_outputs] logits or values
  bool has_head() const;
  void decide(const float* embedding, float* out, Arena& memory) const;

 private:
  std::shared_ptr<const EncoderState> state_;
};

}  // namespace ecseq::encoders
