#pragma once

#include <vector>

#include "model_state.hpp"

namespace ecseq::pipeline {

/// Says which columns of the relation layer's dense input belong to what.
void lay_out_blocks(ModelState& state, Index embedding_size);

/// Trains the relation layer in the mode asked for. channels, weights: of the training rows, see
/// Supervision; y_validation: standardised in a regression.
RelationLayer fit_layer(const ModelState& state, const LayerInputs& inputs,
                        const Matrix<float>& channels, const std::vector<float>& weights,
                        const LayerInputs& inputs_validation, const Targets& y_validation,
                        nn::TrainingReport& report, const ProgressCallback& progress);

}  // namespace ecseq::pipeline
