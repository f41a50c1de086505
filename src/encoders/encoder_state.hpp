#pragma once

#include <memory>
#include <span>

#include "backbone.hpp"
#include "ecseq/encoders/event_encoder.hpp"
#include "ecseq/encoders/sequence_encoder.hpp"
#include "ecseq/kernels/packed_matrix.hpp"
#include "state_pooling.hpp"

namespace ecseq::encoders {

/// Which rows an encoder gives.
enum class RowsOf { kSequences, kEvents };

/// Everything a fitted encoder has learned.
struct EncoderState {
  EncoderOptions options;
  Task task = Task::kBinary;
  int n_classes = 2;
  nn::TrainingReport report;

  EventEncoder events;
  nn::Parameters<float> parameters;
  std::unique_ptr<Backbone> backbone;
  StatePooling pooling;
  double flops_per_event = 0.0;  ///< of the backbone, roughly
  int head_weight =
      -1;  ///< numbers of the head's parameters, [embedding, outputs] and [1, outputs]
  int head_bias = -1;
  kernels::PackedMatrix head;
  float target_mean = 0.0F;  ///< regression: the head's outputs are (y - mean) / std
  float target_std = 1.0F;

  bool has_head() const { return head_weight >= 0; }

  /// Adds all parameters but the head's; `events` must be there.
  void declare(Rng& rng);
  void declare_head(Index outputs, Rng& rng);
  /// Takes the weights in the order of the kernels; to be repeated after they change.
  void pack();

  /// Throws InvalidArgument for sequences, valid in themselves, that the network cannot read.
  void require_fit(const SequencesView& sequences, const char* name) const;

  /// Training: the embeddings of sequences `rows` [rows, embedding_size], or the states after each
  /// of their events [events, embedding_size]. rng: draws what is dropped; null drops nothing.
  autograd::Variable<float> forward(const nn::BoundParameters<float>& bound,
                                    const SequencesView& sequences, std::span<const Index> rows,
                                    const nn::RecurrentBatch& batch, RowsOf rows_of,
                                    Rng* rng) const;

  /// Whether layers read a table of encoded events, not the events as they lie.
  bool needs_table() const { return backbone->needs_table() || !events.is_plain(); }

  /// Inference on sequences that are known to fit.
  Matrix<float> encode(const SequencesView& sequences, RowsOf rows_of, int num_threads,
                       const ProgressCallback& progress, const Progress& where) const;
  Matrix<float> decide(MatrixView<float> embedding) const;
};

}  // namespace ecseq::encoders
