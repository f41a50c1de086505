#pragma once

#include "entity_inputs.hpp"
#include "model_state.hpp"

namespace ecseq::pipeline {

/// What the encoder is tuned with: the fitted model's training part as its layer saw it.
struct TuningData {
  const Samples& training;
  const relation::LabelChannels& channels;
  const std::vector<float>& weights;  ///< [n] or empty
  const std::vector<int>& groups;
  const EntityBlocks& entities;  ///< of the training rows
  const Samples& validation;
  const EntityBlocks& entities_validation;
  const Targets& y_validation;  ///< regression: standardised
};

/// The model's encoder trained on, through attachment and relation layer: the loss of the layer's
/// and of the encoder's own outputs goes back into the embedding, also by how near it is to each
/// representative. Representatives are constants of an epoch, and found again after each.
/// For one layer of "sage_mean" attached by "knn" (see require_tunable).
encoders::SequenceEncoder tuned_encoder(const ModelState& fitted, const TuningData& data,
                                        const ProgressCallback& progress);

}  // namespace ecseq::pipeline
