#pragma once

#include <cstdint>
#include <span>

#include "ecseq/autograd/operations/add.hpp"
#include "ecseq/autograd/operations/attention.hpp"
#include "ecseq/autograd/operations/dropout.hpp"
#include "ecseq/autograd/operations/gelu.hpp"
#include "ecseq/autograd/operations/layer_norm.hpp"
#include "ecseq/autograd/operations/linear.hpp"
#include "ecseq/autograd/operations/relu.hpp"
#include "ecseq/kernels/transformer.hpp"

namespace ecseq::nn::inline ECSEQ_LEVEL {

/// The parameters of a linear map x W + b.  weight: [in, out], bias: [1, out]
template <class Scalar>
struct LinearVariables {
  autograd::Variable<Scalar> weight, bias;
  autograd::Variable<Scalar> operator()(autograd::Variable<Scalar> x) const {
    return autograd::linear(x, weight, bias);
  }
};

/// The parameters of a layer norm.  gain, bias: [1, H]
template <class Scalar>
struct LayerNormVariables {
  autograd::Variable<Scalar> gain, bias;
};

/// The parameters of one Transformer layer of width H with F hidden units.
template <class Scalar>
struct TransformerLayerVariables {
  LinearVariables<Scalar> in_projection;     ///< H to 3H: queries, keys and values side by side
  LinearVariables<Scalar> out_projection;    ///< H to H
  LinearVariables<Scalar> feed_forward_in;   ///< H to F
  LinearVariables<Scalar> feed_forward_out;  ///< F to H
  LayerNormVariables<Scalar> norm_attention, norm_feed_forward;
};

/// One Transformer encoder layer over ragged sequences (Vaswani et al. 2017, 3.1; with norm_first
/// Xiong et al. 2020), as torch.nn.TransformerEncoderLayer:
///   x = norm(x + attention(x)), x = norm(x + feed_forward(x)) or, norm_first,
///   x = x + attention(norm(x)), x = x + feed_forward(norm(x))
/// `dropout` acts on the attention's weights, on what it and the feed-forward net add, and after
/// the activation. The norm that follows a stack of norm_first layers is the caller's.
/// x: [events, H], sequence after sequence; offsets: [sequences + 1], read again by the backward
/// pass; result: [events, H]. Its inference is kernels::transformer_layer.
template <class Scalar>
autograd::Variable<Scalar> transformer_layer(autograd::Variable<Scalar> x,
                                             std::span<const Index> offsets,
                                             const TransformerLayerVariables<Scalar>& variables,
                                             const kernels::TransformerShape& shape, double dropout,
                                             Rng& rng) {
  using V = autograd::Variable<Scalar>;
  const auto norm = [&](V from, const LayerNormVariables<Scalar>& n) {
    return autograd::layer_norm(from, n.gain, n.bias, static_cast<double>(shape.epsilon));
  };
  const auto attention = [&](V from) {
    autograd::AttentionDropout dropped{dropout, 0};
    if (dropout > 0) dropped.seed = rng.next();
    const V heads = autograd::self_attention(variables.in_projection(from), shape.heads, offsets,
                                             shape.causal, dropped);
    return autograd::dropout(variables.out_projection(heads), dropout, rng);
  };
  const auto feed_forward = [&](V from) {
    const V z = variables.feed_forward_in(from);
    const V active =
        shape.activation == kernels::Activation::kRelu ? autograd::relu(z) : autograd::gelu(z);
    const V out = variables.feed_forward_out(autograd::dropout(active, dropout, rng));
    return autograd::dropout(out, dropout, rng);
  };
  if (shape.norm_first) {
    x = autograd::add(x, attention(norm(x, variables.norm_attention)));
    return autograd::add(x, feed_forward(norm(x, variables.norm_feed_forward)));
  }
  x = norm(autograd::add(x, attention(x)), variables.norm_attention);
  return norm(autograd::add(x, feed_forward(x)), variables.norm_feed_forward);
}

}  // namespace ecseq::nn::inline ECSEQ_LEVEL
