#pragma once

#include <vector>

#include "backbone.hpp"
#include "ecseq/kernels/packed_matrix.hpp"
#include "ecseq/kernels/transformer.hpp"
#include "ecseq/nn/transformer_parameters.hpp"

namespace ecseq::encoders {

/// Linear map to H columns (unless switched off), position encodings, Transformer layers, and a
/// last layer norm (unless switched off). Parameters: transformer.input.weight [inputs, H] and
/// .bias [1, H]; transformer.positions [max_length, H] where learned; of layer l,
/// transformer.l.in_projection, .out_projection, .feed_forward_in and .feed_forward_out, each
/// .weight [in, out] and .bias [1, out], and .norm_attention and .norm_feed_forward, each .gain and
/// .bias [1, H]; transformer.norm.gain and .bias [1, H].
class TransformerBackbone final : public Backbone {
 public:
  TransformerBackbone(const EncoderOptions& options, Index inputs,
                      nn::Parameters<float>& parameters, Rng& rng);

  bool needs_table() const override { return true; }
  bool holds_states() const override { return true; }
  void require_length(Index length) const override;
  autograd::Variable<float> states(const nn::BoundParameters<float>& parameters,
                                   const nn::RecurrentBatch& batch,
                                   const nn::LayerInput<float>& input, nn::StatesOf states_of,
                                   Rng* rng) const override;
  void pack(const nn::Parameters<float>& parameters) override;
  void run(std::span<const kernels::EventRun> runs, const kernels::LayerSource<float>& source,
           nn::StatesOf states_of, float* out, Index out_stride, Arena& memory) const override;

 private:
  /// The events of some sequences, encoded and placed. positions: [., H]; x: [events, stride]
  void place(std::span<const kernels::EventRun> runs, const float* table, const float* positions,
             float* x) const;
  Matrix<float> sinusoidal(Index length) const;

  Index inputs_;
  Index hidden_;
  double dropout_;
  std::string positions_;
  Index max_length_;
  kernels::TransformerShape shape_;
  nn::LinearParameters input_;  ///< absent without input projection
  int position_table_ = -1;     ///< learned positions
  std::vector<nn::TransformerLayerParameters> layers_;
  nn::LayerNormParameters norm_;  ///< absent without a last norm

  kernels::PackedMatrix packed_input_;
  std::vector<kernels::TransformerLayerWeights> packed_;
  kernels::TransformerLayerWeights::Norm packed_norm_;
  /// [max_length, H] position encodings; sinusoidal ones go on beyond it.
  Matrix<float> table_;
};

}  // namespace ecseq::encoders
