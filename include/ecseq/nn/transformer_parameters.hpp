#pragma once

#include <cmath>
#include <string>

#include "ecseq/nn/parameters.hpp"
#include "ecseq/nn/transformer_layer.hpp"

namespace ecseq::nn::inline ECSEQ_LEVEL {

/// The numbers of a linear map's matrices in a `Parameters`.
struct LinearParameters {
  int weight = -1, bias = -1;
  template <class Scalar>
  LinearVariables<Scalar> variables(const BoundParameters<Scalar>& bound) const {
    return {bound[weight], bound[bias]};
  }
};

/// The numbers of a layer norm's rows in a `Parameters`.
struct LayerNormParameters {
  int gain = -1, bias = -1;
  template <class Scalar>
  LayerNormVariables<Scalar> variables(const BoundParameters<Scalar>& bound) const {
    return {bound[gain], bound[bias]};
  }
};

/// Adds a layer norm that starts as the plain normalisation.
template <class Scalar>
LayerNormParameters add_layer_norm(Parameters<Scalar>& to, const std::string& name, Index width) {
  LayerNormParameters out;
  out.gain = to.add_with(name + ".gain", 1, width,
                         [&](Scalar* gain) { std::fill_n(gain, width, Scalar(1)); });
  out.bias = to.add(name + ".bias", 1, width);
  return out;
}

/// The numbers of a Transformer layer's matrices in a `Parameters`.
struct TransformerLayerParameters {
  LinearParameters in_projection, out_projection, feed_forward_in, feed_forward_out;
  LayerNormParameters norm_attention, norm_feed_forward;

  /// For `transformer_layer`.
  template <class Scalar>
  TransformerLayerVariables<Scalar> variables(const BoundParameters<Scalar>& bound) const {
    return {in_projection.variables(bound),   out_projection.variables(bound),
            feed_forward_in.variables(bound), feed_forward_out.variables(bound),
            norm_attention.variables(bound),  norm_feed_forward.variables(bound)};
  }
  /// For kernels::TransformerLayerWeights.
  kernels::TransformerLayerMatrices matrices(const Parameters<float>& of) const {
    return {of.view(in_projection.weight),    of.data(in_projection.bias),
            of.view(out_projection.weight),   of.data(out_projection.bias),
            of.view(feed_forward_in.weight),  of.data(feed_forward_in.bias),
            of.view(feed_forward_out.weight), of.data(feed_forward_out.bias),
            of.data(norm_attention.gain),     of.data(norm_attention.bias),
            of.data(norm_feed_forward.gain),  of.data(norm_feed_forward.bias)};
  }
};

/// Adds a layer of `width` with `hidden` units in its feed-forward net, drawn as torch draws it:
/// the projection to queries, keys and values uniform in +-sqrt(6 / (width + 3 width)) (Glorot and
/// Bengio 2010), other weights and the feed-forward biases in +-1 / sqrt(inputs), attention's
/// biases 0.
template <class Scalar>
TransformerLayerParameters add_transformer_layer(Parameters<Scalar>& to, const std::string& name,
                                                 Index width, Index hidden, Rng& rng) {
  const auto root = [](Index n) { return std::sqrt(static_cast<double>(n)); };
  const double of_width = 1.0 / root(width), of_hidden = 1.0 / root(hidden);
  TransformerLayerParameters out;
  out.in_projection.weight = to.add_uniform(name + ".in_projection.weight", width, 3 * width,
                                            std::sqrt(1.5) * of_width, rng);
  out.in_projection.bias = to.add(name + ".in_projection.bias", 1, 3 * width);
  out.out_projection.weight =
      to.add_uniform(name + ".out_projection.weight", width, width, of_width, rng);
  out.out_projection.bias = to.add(name + ".out_projection.bias", 1, width);
  out.feed_forward_in.weight =
      to.add_uniform(name + ".feed_forward_in.weight", width, hidden, of_width, rng);
  out.feed_forward_in.bias =
      to.add_uniform(name + ".feed_forward_in.bias", 1, hidden, of_width, rng);
  out.feed_forward_out.weight =
      to.add_uniform(name + ".feed_forward_out.weight", hidden, width, of_hidden, rng);
  out.feed_forward_out.bias =
      to.add_uniform(name + ".feed_forward_out.bias", 1, width, of_hidden, rng);
  out.norm_attention = add_layer_norm(to, name + ".norm_attention", width);
  out.norm_feed_forward = add_layer_norm(to, name + ".norm_feed_forward", width);
  return out;
}

}  // namespace ecseq::nn::inline ECSEQ_LEVEL
