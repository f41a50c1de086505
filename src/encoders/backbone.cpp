#include "backbone.hpp"

#include "recurrent_backbone.hpp"
#include "transformer_backbone.hpp"

namespace ecseq::encoders {

std::unique_ptr<Backbone> make_backbone(const EncoderOptions& options, Index inputs,
                                        nn::Parameters<float>& parameters, Rng& rng) {
  if (options.is_transformer()) {
    return std::make_unique<TransformerBackbone>(options, inputs, parameters, rng);
  }
  if (options.cell == "gru") {
    return std::make_unique<RecurrentBackbone<kernels::GruCell>>(options, inputs, parameters, rng);
  }
  return std::make_unique<RecurrentBackbone<kernels::LstmCell>>(options, inputs, parameters, rng);
}

}  // namespace ecseq::encoders
