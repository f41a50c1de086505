#pragma once

#include <map>
#include <string>
#include <vector>

#include "ecseq/core/progress.hpp"
#include "ecseq/core/sequences.hpp"
#include "ecseq/core/targets.hpp"
#include "ecseq/nn/training.hpp"

namespace ecseq::encoders {

/// How events are read and how the network is trained.
struct EncoderOptions {
  std::string cell = "lstm";        ///< "lstm" or "gru"
  Index hidden_size = 32;           ///< H
  int n_layers = 1;                 ///< 1 to 4, each reading all states of the one below
  bool bidirectional = false;       ///< each layer reads forwards and backwards, a cell for each
  double dropout = 0.0;             ///< share dropped between layers while training
  std::string pooling = "last";     ///< "last", "mean" or "max" of the top layer's states
  std::vector<float> class_weight;  ///< [n_classes] weight of each class in the loss, or empty
  nn::TrainingOptions training = default_training();

  int directions() const { return bidirectional ? 2 : 1; }
  int n_cells() const { return n_layers * directions(); }
  /// Columns of the embedding: H, or 2H with both directions.
  Index embedding_size() const { return hidden_size * directions(); }

  static nn::TrainingOptions default_training() {
    nn::TrainingOptions options;
    options.batch_size = 0;  // by the number of sequences, at most 512
    options.shard_size = 64;
    options.max_epochs = 30;
    options.patience = 5;
    options.learning_rate = 3e-3;
    options.stage = "encoder";
    return options;
  }
};

/// Recurrent layers over the events of a sequence and a linear head that was trained with them.
/// The embedding is the last state of the top layer; with both directions, the forward state after
/// the last event, then the backward state after the first; or the mean or elementwise maximum of
/// the top layer's states after each event. Numeric features are standardised
/// inside.
/// Immutable: one object may serve many threads.
class SequenceEncoder {
 public:
  /// Trains cell and head. `validation` decides when to stop: (AUC + AP) / 2 for two classes (minus
  /// the loss where only one of them is present), minus the mean cross-entropy for several, minus
  /// the mean squared error for regression. Throws InvalidArgument before any work; see nn::train
  /// for Diverged and Interrupted.
  static SequenceEncoder fit(const SequencesView& training, const Targets& y,
                             const SequencesView& validation, const Targets& y_validation,
                             const EncoderOptions& options, const ProgressCallback& progress = {});

  /// Embeddings [n, embedding_size]. A row does not depend, to the last bit, on the other sequences
  /// or on the number of threads.
  Matrix<float> encode(const SequencesView& sequences, int num_threads = 0) const;

  /// The head: embedding [n, embedding_size] -> [n, n_outputs] logits, or for regression values in
  /// the target's units.
  Matrix<float> decide(MatrixView<float> embedding) const;

  const EncoderOptions& options() const { return options_; }
  Task task() const { return task_; }
  int n_classes() const { return n_classes_; }
  Index embedding_size() const { return options_.embedding_size(); }
  Index input_features() const { return feature_mean_.cols(); }
  Index n_outputs() const { return head_weight_.cols(); }
  /// How training went; empty for an encoder made from tensors.
  const nn::TrainingReport& report() const { return report_; }

  /// Everything needed to make the encoder again. An LSTM's gates in the order input, forget, cell,
  /// output: lstm.weight_input [features, 4H], lstm.weight_hidden [H, 4H], lstm.bias [1, 4H]. A
  /// GRU's in the order reset, update, new: gru.weight_input [features, 3H], gru.weight_hidden
  /// [H, 3H], gru.bias [1, 4H], where the new gate's bias of x stands before that of h.
  /// The names of layer l > 0 end in _l, those of the backward direction in _backward (after
  /// it); what a layer reads, H or 2H wide, stands in the place of the features. And
  /// head.weight [embedding_size, outputs], head.bias [1, outputs], feature.mean and feature.scale
  /// [1, features] (events enter as (x - mean) * scale), target.mean and target.std [1, 1].
  std::map<std::string, Matrix<float>> tensors() const;
  /// Throws FileError where a tensor is missing, unknown, of a wrong shape or not finite, and
  /// InvalidArgument for bad options.
  static SequenceEncoder from_tensors(const std::map<std::string, Matrix<float>>& tensors,
                                      const EncoderOptions& options, Task task, int n_classes);

 private:
  class Fit;
  class Forward;

  SequenceEncoder() = default;
  /// The weights of one layer in one direction.
  struct CellWeights {
    Matrix<float> weight_input;   ///< [inputs, gates H]
    Matrix<float> weight_hidden;  ///< [H, gates H]
    Matrix<float> bias;           ///< [1, 4H]
    Eigen::ArrayXf packed;        ///< the same in the kernel's order
  };

  void pack();
  Matrix<float> encode_checked(const SequencesView& sequences, int num_threads,
                               const ProgressCallback& progress, const Progress& where) const;

  EncoderOptions options_;
  Task task_ = Task::kBinary;
  int n_classes_ = 2;
  nn::TrainingReport report_;
  std::vector<CellWeights> cells_;  ///< layer by layer, forward before backward
  Matrix<float> head_weight_;       ///< [embedding_size, outputs]
  Matrix<float> head_bias_;         ///< [1, outputs]
  Matrix<float> feature_mean_;      ///< [1, features]
  Matrix<float> feature_scale_;     ///< [1, features]
  float target_mean_ = 0.0F;
  float target_std_ = 1.0F;
};

}  // namespace ecseq::encoders
