#pragma once

#include <memory>
#include <optional>
#include <span>

#include "ecseq/core/arena.hpp"
#include "ecseq/encoders/encoder_options.hpp"
#include "ecseq/kernels/recurrence.hpp"
#include "ecseq/nn/recurrent_layer.hpp"

namespace ecseq::encoders {

/// The layers that turn a sequence of encoded events into a state after each of them, for training
/// and for inference. Its weights are parameters of the encoder.
class Backbone {
 public:
  virtual ~Backbone() = default;

  /// Whether events must come as a table of encoded ones; else layers may read them as they lie.
  virtual bool needs_table() const = 0;
  /// Whether `run` holds more than the states of a few sequences, so that sequences should come in
  /// groups of a bounded number of events.
  virtual bool holds_states() const = 0;
  /// Throws InvalidArgument for a sequence longer than the layers can read.
  virtual void require_length(Index) const {}

  /// Training. [events, width] in the order of the batch, or of the last step [sequences, width].
  /// rng: draws what is dropped; null drops nothing.
  virtual autograd::Variable<float> states(const nn::BoundParameters<float>& parameters,
                                           const nn::RecurrentBatch& batch,
                                           const nn::LayerInput<float>& input,
                                           nn::StatesOf states_of, Rng* rng) const = 0;

  /// Takes the weights in the order of the kernels; to be repeated after they change.
  virtual void pack(const nn::Parameters<float>& parameters) = 0;

  /// Inference. runs: longest first, `first` counting their events. out: rows `out_stride` apart,
  /// `run.first` and following or, of the last step, `run.result`. What a sequence gets does not
  /// depend, to the last bit, on the others. memory: for what lies between.
  virtual void run(std::span<const kernels::EventRun> runs,
                   const kernels::LayerSource<float>& source, nn::StatesOf states_of, float* out,
                   Index out_stride, Arena& memory) const = 0;

  /// Numbers that hold all of what was read so far, or none where the layers must read a sequence
  /// as a whole.
  virtual std::optional<Index> state_size() const { return {}; }
  /// Reads one event more; only with a state, which is zeros before the first event.
  /// event: [inputs], encoded; state: [state_size]; out: [width], the state after the event, equal
  /// up to rounding to what `run` gives.
  virtual void advance(const float* /*event*/, float* /*state*/, float* /*out*/,
                       Arena& /*memory*/) const {}
};

/// Adds the layers' parameters, drawn at random, for events of `inputs` columns.
std::unique_ptr<Backbone> make_backbone(const EncoderOptions& options, Index inputs,
                                        nn::Parameters<float>& parameters, Rng& rng);

}  // namespace ecseq::encoders
