#pragma once

#include <utility>

#include "ecseq/encoders/sequence_encoder.hpp"
#include "ecseq/pipeline/model.hpp"

namespace ecseq::testing {

/// A model on an encoder, fitted in no time; the head alone decides, so that nothing of it is
/// hidden by the gate. Data: with samples() and the labels y.
template <class Data>
pipeline::Model quick_model(const Data& training, const Data& validation,
                            encoders::SequenceEncoder encoder) {
  pipeline::ModelOptions options;
  options.similarity->n_representatives = 15;
  options.training.max_epochs = 3;
  options.gate = false;
  options.controls = false;
  return pipeline::Model::fit(training.samples(), training.y, validation.samples(), validation.y,
                              options, std::move(encoder));
}

}  // namespace ecseq::testing
