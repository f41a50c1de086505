#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "ecseq/core/progress.hpp"
#include "ecseq/core/sequences.hpp"
#include "ecseq/core/targets.hpp"
#include "ecseq/encoders/encoder_options.hpp"
#include "ecseq/encoders/named_tensors.hpp"
#include "ecseq/nn/training.hpp"

namespace ecseq::encoders {

struct EncoderState;

class SequenceEncoder;

/// What a caller tunes an encoder for: a loss of its embeddings, with parameters of the caller's.
struct EmbeddingObjective {
  /// The sum of the losses of `rows`; called from several threads at once, each with its own tape.
  /// own: the caller's parameters; x: [rows, embedding_size]; head: what the encoder's own head
  /// says of x, [rows, n_outputs], logits or standardised values.
  std::function<autograd::Variable<float>(
      const nn::BoundParameters<float>& own, autograd::Variable<float> x,
      autograd::Variable<float> head, std::span<const Index> rows, Rng& rng)>
      loss;
  /// After each epoch. `now` may be used during the call only.
  std::function<nn::ValidationScore(const SequenceEncoder& now, const nn::Parameters<float>& own)>
      validate;
};

/// Recurrent or Transformer layers over the events of a sequence, and a linear head that was
/// trained with them; an encoder that was trained without labels, or made from foreign weights,
/// has no head.
/// The embedding is the state after the last event (with both directions: that of the forward
/// cells, then the one of the backward cells after the first event), or all states pooled. Numeric
/// features are standardised inside, see EventEncoder.
/// Immutable, and cheap to copy; one object may serve many threads.
class SequenceEncoder {
 public:
  /// Trains layers and head. y: a label per sequence, or per event of each sequence after the other
  /// (options.labels_per). `validation`, which may hold no sequence, decides when to stop, by
  /// options.selection for two classes (minus the loss where only one of them is present), by minus
  /// the mean cross-entropy for several, minus the mean squared error for regression; without it
  /// the training loss decides.
  /// start: goes on from this encoder's weights, with its statistics and vocabularies, instead of
  /// from random ones; its network must be the one that the options name. Its head is kept where
  /// the task is the same.
  /// Throws InvalidArgument before any work; see nn::train for Diverged and Interrupted: once an
  /// epoch is finished, an interrupted fit returns the best weights so far and the report says so.
  static SequenceEncoder fit(const SequencesView& training, const Targets& y,
                             const SequencesView& validation, const Targets& y_validation,
                             const EncoderOptions& options, const ProgressCallback& progress = {},
                             const SequenceEncoder* start = nullptr);

  /// Trains the layers without labels, to predict each next event (NextEventObjective): numeric and
  /// time columns by Huber loss, categorical ones by cross-entropy. The network must not look
  /// ahead. The encoder has no head.
  static SequenceEncoder pretrain(const SequencesView& training, const SequencesView& validation,
                                  const EncoderOptions& options,
                                  const ProgressCallback& progress = {},
                                  const SequenceEncoder* start = nullptr);

  /// Goes on from `start`, which must have a head, towards an objective of the caller's, whose
  /// parameters `own` are trained along and hold the best epoch's on return.
  static SequenceEncoder tune(const SequenceEncoder& start, const SequencesView& training,
                              nn::Parameters<float>& own, const EmbeddingObjective& objective,
                              const nn::TrainingOptions& options,
                              const ProgressCallback& progress = {});

  /// Embeddings [n, embedding_size]. A row does not depend, to the last bit, on the other sequences
  /// or on the number of threads.
  Matrix<float> encode(const SequencesView& sequences, int num_threads = 0,
                       const ProgressCallback& progress = {}) const;
  /// The state after each event, sequence after sequence: [events, embedding_size].
  Matrix<float> encode_events(const SequencesView& sequences, int num_threads = 0,
                              const ProgressCallback& progress = {}) const;

  bool has_head() const;
  /// The head: embedding [n, embedding_size] -> [n, n_outputs] logits, or for regression values in
  /// the target's units. Throws InvalidArgument without a head.
  Matrix<float> decide(MatrixView<float> embedding) const;

  const EncoderOptions& options() const;
  Task task() const;
  int n_classes() const;
  Index embedding_size() const { return options().embedding_size(); }
  Index input_features() const;
  /// Of the head; 0 without one.
  Index n_outputs() const;
  /// How training went; empty for an encoder made from tensors.
  const nn::TrainingReport& report() const;

  /// Everything needed to make the encoder again. An LSTM's gates in the order input, forget, cell,
  /// output: lstm.weight_input [inputs, 4H], lstm.weight_hidden [H, 4H], lstm.bias [1, 4H]. A
  /// GRU's in the order reset, update, new: gru.weight_input [inputs, 3H], gru.weight_hidden
  /// [H, 3H], gru.bias [1, 4H], where the new gate's bias of x stands before that of h.
  /// The names of layer l > 0 end in _l, those of the backward direction in _backward (after it);
  /// what a layer reads, H or 2H wide, stands in the place of the inputs. A Transformer's are named
  /// in transformer_backbone.cpp. With a head, head.weight [embedding_size, outputs], head.bias
  /// [1, outputs], target.mean and target.std [1, 1]. For numeric columns feature.mean and
  /// feature.scale [1, columns] (they enter as (x - mean) * scale); for categorical column j,
  /// event.vocabulary_j [1, categories] and event.embedding_j [1 + categories, dimension]; for time
  /// features time.mean and time.scale [1, 1] of log(1 + gap).
  NamedTensors::Map tensors() const;
  /// Throws FileError where a tensor is missing, unknown, of a wrong shape or not finite, and
  /// InvalidArgument for bad options.
  static SequenceEncoder from_tensors(const NamedTensors::Map& tensors,
                                      const EncoderOptions& options, Task task, int n_classes);

 private:
  friend class StreamEncoder;
  explicit SequenceEncoder(std::shared_ptr<const EncoderState> state);
  std::shared_ptr<const EncoderState> state_;
};

}  // namespace ecseq::encoders
