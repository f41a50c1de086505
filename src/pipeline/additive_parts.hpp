#pragma once

#include <vector>

#include "model_state.hpp"

namespace ecseq::pipeline {

/// One output of one target as a sum of parts: gradient times input, through gate and units. For
/// one linear layer ("sage_mean", "gcn", no activation) and a linear head the sum is exact and
/// `rest` a constant of the model; otherwise `rest` takes what the parts leave.
struct AdditiveParts {
  std::vector<float> similar;   ///< by representative of the neighbourhood
  std::vector<float> entities;  ///< by entity relation
  float own = 0.0f;             ///< the target's own embedding and base output
  float rest = 0.0f;
};

/// Whether parts are exact for this model.
bool is_additive(const ModelState& state);

/// inputs, base: of one target; around: what it is attached to.
AdditiveParts additive_parts(const ModelState& state, const LayerInputs& inputs,
                             const Matrix<float>& base, const relation::Neighbourhood& around,
                             Index output);

}  // namespace ecseq::pipeline
