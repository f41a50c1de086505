#pragma once

#include <string>
#include <vector>

#include "model_state.hpp"

namespace ecseq::pipeline {

// What entity relations contribute to a model's inputs: one matrix [n, features] per relation.

/// What every entity relation makes of the training and of the validation rows.
struct EntityInputs {
  std::vector<Matrix<float>> training;
  std::vector<Matrix<float>> validation;
};

/// Makes the state's entity memories and fills them. With times: one causal pass over both parts
/// together. Without: training rows leave themselves out, validation rows see the training rows;
/// then all are observed.
EntityInputs build_entities(ModelState& state, const Samples& training, const Samples& validation,
                            const relation::LabelChannels& channels,
                            const Matrix<float>& validation_channels);

/// As of samples.times; the memories stay as they are.
std::vector<Matrix<float>> entity_features(const ModelState& state, const Samples& samples,
                                           int num_threads);

/// Each row as of its own moment, the rows before it observed. On copies: the state stays.
std::vector<Matrix<float>> replay_entities(const ModelState& state, const Samples& samples,
                                           const Matrix<float>& channels);

/// Advances the memories by labelled rows. Where it throws, nothing has changed.
void observe_entities(ModelState& state, const Samples& samples, const Matrix<float>& channels);

/// The column of `samples` that an entity relation needs; throws InvalidArgument if absent.
const EntityColumn& entity_column(const Samples& samples, const std::string& by);
/// Where each entity relation's event times come from: samples.times, or zeros.
std::vector<double> event_times(const Samples& samples);

}  // namespace ecseq::pipeline
