#pragma once

#include <memory>
#include <span>

#include "../encoders/backbone.hpp"
#include "ecseq/kernels/dense.hpp"
#include "ecseq/nn/parameters.hpp"
#include "forecaster_panel.hpp"

namespace ecseq::pipeline {

/// The base: a recurrent network over the last `window` steps of one series and a linear head on
/// its last state e and on the exogenous features f of the later steps to forecast,
///   y = anchor + [e, f] W + b,
/// where the anchor is the last known value for each step (options.change) or 0.
/// One network for all series; a window is a series and a moment.
class SeriesEncoder {
 public:
  SeriesEncoder() = default;
  /// Random weights; the head starts at 0 where the base forecasts a change.
  /// parameters: none yet, perhaps of a file (nn::Parameters::of_file).
  SeriesEncoder(const ForecasterOptions& options, const SeriesScale& scale, std::uint64_t seed,
                nn::Parameters<float> parameters = {});

  nn::Parameters<float>& parameters() { return parameters_; }
  const nn::Parameters<float>& parameters() const { return parameters_; }
  /// Takes the weights in the order of the kernels; to be repeated after they change.
  void pack();

  Index embedding_size() const { return hidden_; }
  Index outputs() const { return outputs_; }

  /// Training: the base's forecasts [windows, outputs] of window i, of series[i] at moments[i].
  autograd::Variable<float> forward(const nn::BoundParameters<float>& bound, const Panel& panel,
                                    std::span<const Index> series,
                                    std::span<const Index> moments) const;

  /// Embeddings of all series at `moments`, increasing: [moments * series, embedding_size], the
  /// series of one moment together. A row depends, to the last bit, on its own window alone.
  Matrix<float> encode(const Panel& panel, std::span<const Index> moments, int num_threads) const;
  /// The head on such embeddings: [moments * series, outputs].
  Matrix<float> forecast(const Panel& panel, std::span<const Index> moments,
                         MatrixView<float> embeddings, int num_threads) const;

 private:
  void write_anchor(const Panel& panel, Index series, Index moment, float* out) const;
  void write_future(const Panel& panel, Index moment, float* out) const;

  Index window_ = 0;
  Index horizon_ = 0;
  Index hidden_ = 0;
  Index inputs_ = 0;   ///< of an event
  Index future_ = 0;   ///< columns of f
  Index outputs_ = 0;  ///< horizon * channels
  bool change_ = true;
  nn::Parameters<float> parameters_;
  std::unique_ptr<encoders::Backbone> backbone_;
  int head_weight_ = -1;
  int head_bias_ = -1;
  kernels::PackedDense head_;
};

}  // namespace ecseq::pipeline
