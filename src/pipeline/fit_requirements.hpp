#pragma once

#include "model_state.hpp"

namespace ecseq::pipeline {

// What Model::fit asks for before any work; each throws InvalidArgument naming the argument.

void require_options(const ModelOptions& options, const Targets& y);
void require_training_samples(const ModelState& state, const Samples& samples, const Targets& y,
                              const char* part);
/// What the encoder can be tuned through, see tuned_encoder.
void require_tunable(const ModelOptions& options, const ModelState& state);
void require_unlabelled(const ModelState& state, const Samples& samples);

}  // namespace ecseq::pipeline
