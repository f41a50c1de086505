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
  std::string cell = "lstm";        ///< "lstm"
  Index hidden_size = 32;           ///< width of the embedding
  std::vector<float> class_weight;  ///< [n_classes] weight of each class in the loss, or empty
  nn::TrainingOptions training = default_training();

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

/// A recurrent cell over the events of a sequence, whose last state is the sequence's embedding,
/// and a linear head that was trained with it. Numeric features are standardised inside.
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

  /// Embeddings [n, hidden_size]. A row does not depend, to the last bit, on the other sequences
  /// or on the number of threads.
  Matrix<float> encode(const SequencesView& sequences, int num_threads = 0) const;

  /// The head: embedding [n, hidden_size] -> [n, n_outputs] logits, or for regression values in the
  /// target's units.
  Matrix<float> decide(MatrixView<float> embedding) const;

  const EncoderOptions& options() const { return options_; }
  Task task() const { return task_; }
  int n_classes() const { return n_classes_; }
  Index input_features() const { return feature_mean_.cols(); }
  Index n_outputs() const { return head_weight_.cols(); }
  /// How training went; empty for an encoder made from tensors.
  const nn::TrainingReport& report() const { return report_; }

  /// Everything needed to make the encoder again. Gates in the order input, forget, cell, output:
  /// lstm.weight_input [features, 4H], lstm.weight_hidden [H, 4H], lstm.bias [1, 4H],
  /// head.weight [H, outputs], head.bias [1, outputs], feature.mean and feature.scale
  /// [1, features] (events enter as (x - mean) * scale), target.mean and target.std [1, 1].
  std::map<std::string, Matrix<float>> tensors() const;
  /// Throws FileError where a tensor is missing, unknown, of a wrong shape or not finite, and
  /// InvalidArgument for bad options.
  static SequenceEncoder from_tensors(const std::map<std::string, Matrix<float>>& tensors,
                                      const EncoderOptions& options, Task task, int n_classes);

 private:
  class Fit;

  SequenceEncoder() = default;
  void pack();
  Matrix<float> encode_checked(const SequencesView& sequences, int num_threads,
                               const ProgressCallback& progress, const Progress& where) const;

  EncoderOptions options_;
  Task task_ = Task::kBinary;
  int n_classes_ = 2;
  nn::TrainingReport report_;
  Matrix<float> weight_input_;   ///< [features, 4H]
  Matrix<float> weight_hidden_;  ///< [H, 4H]
  Matrix<float> bias_;           ///< [1, 4H]
  Matrix<float> head_weight_;    ///< [H, outputs]
  Matrix<float> head_bias_;      ///< [1, outputs]
  Matrix<float> feature_mean_;   ///< [1, features]
  Matrix<float> feature_scale_;  ///< [1, features]
  float target_mean_ = 0.0F;
  float target_std_ = 1.0F;
  Eigen::ArrayXf packed_;  ///< the cell's weights in the kernel's order
};

}  // namespace ecseq::encoders
