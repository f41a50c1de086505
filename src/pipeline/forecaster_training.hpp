#pragma once

#include <span>

#include "ecseq/nn/training.hpp"
#include "forecaster_errors.hpp"
#include "forecaster_moments.hpp"

namespace ecseq::pipeline {

/// Trains the encoder and its head. Throws Interrupted.
nn::TrainingReport train_encoder(ForecasterState& state, const Panel& panel,
                                 const MomentSplit& split, const ForecastTargets& targets,
                                 const ProgressCallback& progress);

/// What the graph layer and its control learn from: all series at some moments.
struct LayerPart {
  std::span<const Index> moments;
  SeriesNodes known;
  Matrix<float> representatives;  ///< [moments * K, node_size]
};

LayerPart layer_part(const ForecasterState& state, const Panel& panel,
                     std::span<const Index> moments, int threads, const ProgressCallback& progress);

/// Trains the graph layer, or the control, on frozen nodes. `layer` is state.layer or
/// state.control; hears: whether it is told of the representatives. Throws Interrupted.
nn::TrainingReport train_layer(ForecasterState& state, SeriesLayer& layer, bool hears,
                               const Panel& panel, const LayerPart& training,
                               const LayerPart& validation, const ForecastTargets& targets,
                               nn::TrainingOptions options, const ProgressCallback& progress);

/// What brings the embeddings of some of `moments` to one scale; the identity where the layer
/// forecasts values.
nn::Scaler node_scaler(const ForecasterState& state, const Panel& panel,
                       std::span<const Index> moments, int threads);

}  // namespace ecseq::pipeline
