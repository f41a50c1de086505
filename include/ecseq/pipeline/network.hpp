#pragma once

#include <string>
#include <vector>

#include "ecseq/core/progress.hpp"
#include "ecseq/core/targets.hpp"
#include "ecseq/io/safetensors.hpp"
#include "ecseq/nn/feed_forward.hpp"
#include "ecseq/nn/scaler.hpp"
#include "ecseq/pipeline/attribution.hpp"
#include "ecseq/pipeline/supervision.hpp"

namespace ecseq::pipeline {

/// A feed-forward network over standardised inputs: the GraphSAGE-mean layer over fixed
/// representatives with its head, the base of an embedding model (no hidden layer: logistic or
/// linear regression) and the MLP control are all one.
class Network {
 public:
  Network() = default;
  Network(nn::Scaler scaler, nn::FeedForward network)
      : scaler_(std::move(scaler)), network_(std::move(network)), packed_(network_.pack()) {}

  /// x: [n, in] -> [n, out]. A row's bits do not depend on the other rows or the threads.
  Matrix<float> predict(MatrixView<float> x, int num_threads) const;
  /// The first hidden layer, [n, hidden].
  Matrix<float> hidden_layer(MatrixView<float> x, int num_threads) const;

  /// Of the first row of x.
  Attribution attribute(MatrixView<float> x, Index output) const;

  Index in() const { return network_.in(); }
  const nn::Scaler& scaler() const { return scaler_; }
  const nn::FeedForward& weights() const { return network_; }

  void save(io::TensorFile& file, const std::string& prefix) const;
  /// Throws FileError where something is missing or does not fit.
  static Network load(const io::TensorFile& file, const std::string& prefix,
                      nn::Activation activation = nn::Activation::kRelu);

 private:
  nn::Scaler scaler_;
  nn::FeedForward network_;
  nn::FeedForward::Packed packed_;
};

/// What a network is trained on.
struct TrainingSet {
  MatrixView<float> inputs;        ///< [n, in], not yet standardised
  MatrixView<float> channels;      ///< [n, out], see Supervision
  const float* weights = nullptr;  ///< [n] or null; mean 1
};
struct ValidationSet {
  MatrixView<float> inputs;    ///< [m, in]
  const Targets* y = nullptr;  ///< regression: standardised as the channels are
};

/// What a network is and how it learns.
struct NetworkOptions {
  std::vector<Index> hidden;  ///< sizes of the hidden layers; none for a linear network
  nn::Activation activation = nn::Activation::kRelu;
  bool standardize = true;  ///< inputs to mean 0 and variance 1
  double dropout = 0.0;     ///< of the hidden layers
  std::string loss = "auto";
  std::string selection = "auto";
  nn::TrainingOptions training;  ///< batch_size 0 chooses by n
};

/// Trains a network. Throws Interrupted where the callback says so, however far it came.
Network fit_network(const TrainingSet& training, const ValidationSet& validation, Task task,
                    const NetworkOptions& options, nn::TrainingReport& report,
                    const ProgressCallback& progress);
/// The same, continuing from `initial` (whose scaler is kept).
Network continue_network(const Network& initial, const TrainingSet& training,
                         const ValidationSet& validation, Task task, const NetworkOptions& options,
                         nn::TrainingReport& report, const ProgressCallback& progress);

}  // namespace ecseq::pipeline
