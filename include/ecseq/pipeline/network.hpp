#pragma once

#include <string>
#include <vector>

#include "ecseq/core/progress.hpp"
#include "ecseq/core/targets.hpp"
#include "ecseq/io/safetensors.hpp"
#include "ecseq/nn/feed_forward.hpp"
#include "ecseq/nn/scaler.hpp"
#include "ecseq/nn/training.hpp"

namespace ecseq::pipeline {

/// A feed-forward network over standardised inputs: the relation layer, the base of an embedding
/// model (no hidden layer: logistic or linear regression) and the MLP control are all one.
class Network {
 public:
  Network() = default;
  Network(nn::Scaler scaler, nn::FeedForward network)
      : scaler_(std::move(scaler)), network_(std::move(network)), packed_(network_.pack()) {}

  /// x: [n, in] -> [n, out]. A row's bits do not depend on the other rows or the threads.
  Matrix<float> predict(MatrixView<float> x, int num_threads) const;
  /// The hidden layer, [n, hidden].
  Matrix<float> hidden_layer(MatrixView<float> x, int num_threads) const;

  Index in() const { return network_.in(); }
  Index hidden() const { return network_.hidden(); }
  const nn::Scaler& scaler() const { return scaler_; }
  const nn::FeedForward& weights() const { return network_; }

  void save(io::TensorFile& file, const std::string& prefix) const;
  static Network load(const io::TensorFile& file, const std::string& prefix);

 private:
  nn::Scaler scaler_;
  nn::FeedForward network_;
  nn::FeedForward::Packed packed_;
};

/// What a network is trained on. Targets are label channels: probabilities of the classes, or
/// standardised values.
struct TrainingSet {
  MatrixView<float> inputs;        ///< [n, in], not yet standardised
  MatrixView<float> channels;      ///< [n, out]
  const float* weights = nullptr;  ///< [n] or null; mean 1
};
struct ValidationSet {
  MatrixView<float> inputs;    ///< [m, in]
  const Targets* y = nullptr;  ///< regression: standardised as the channels are
};

/// Trains a network; hidden = 0 for a linear one. options.batch_size = 0 chooses by n.
/// Throws Interrupted where the callback says so, however far it came.
Network fit_network(const TrainingSet& training, const ValidationSet& validation, Task task,
                    Index hidden, double dropout, const nn::TrainingOptions& options,
                    nn::TrainingReport& report, const ProgressCallback& progress);
/// The same, continuing from `initial` (whose scaler is kept).
Network continue_network(const Network& initial, const TrainingSet& training,
                         const ValidationSet& validation, Task task, double dropout,
                         const nn::TrainingOptions& options, nn::TrainingReport& report,
                         const ProgressCallback& progress);

}  // namespace ecseq::pipeline
