#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/gnn/heads.hpp"
#include "ecseq/gnn/messages.hpp"
#include "ecseq/nn/parameters.hpp"

namespace ecseq::gnn {

/// Attention of a target over the representatives it is attached to:
///   z_t = W_self x_t + sum over t's edges of alpha_e V x_e + b,
///   alpha_t. = softmax over t's edges of (Q x_t . K x_e) / sqrt(d) + s log w_e, for each head
/// The weights w_e carry the similarity of target and source; s, one number per head, says how much
/// of it counts and starts at 1: with Q = 0 the layer is a mean by weights. What else a source is,
/// its mass and its label mix, are columns of x_e.
template <class Scalar>
class AttentionLayer {
 public:
  /// self, source: columns of a target's and of a source's features; out: columns of all heads
  /// together, a multiple of `heads`.
  AttentionLayer(nn::Parameters<Scalar>& parameters, const std::string& name, Index self,
                 Index source, Index out, Index heads, Rng& rng)
      : heads_(heads) {
    const double bound = std::sqrt(6.0 / static_cast<double>(self + source));
    self_ = parameters.add_uniform(name + ".self.weight", self, out, bound, rng);
    query_ = parameters.add_uniform(name + ".query.weight", self, out, bound, rng);
    key_ = parameters.add_uniform(name + ".key.weight", source, out, bound, rng);
    value_ = parameters.add_uniform(name + ".value.weight", source, out, bound, rng);
    similarity_ = parameters.add_with(name + ".similarity", 1, heads, [&](Scalar* weights) {
      std::fill_n(weights, heads, Scalar(1));
    });
    bias_ = parameters.add(name + ".bias", 1, out);
  }

  /// x: [targets, self] -> [targets, out]. dropout: of the attention weights; the weights of
  /// messages are constants.
  autograd::Variable<Scalar> forward(const nn::BoundParameters<Scalar>& bound,
                                     autograd::Variable<Scalar> x, const Messages<Scalar>& messages,
                                     double dropout, Rng& rng) const {
    auto& tape = x.tape();
    const auto target = targets_of(tape, messages.offsets);
    const auto queries = autograd::gather_rows(autograd::matmul(x, bound[query_]), target);
    const auto keys = autograd::matmul(messages.rows, bound[key_]);
    const auto values = autograd::matmul(messages.rows, bound[value_]);
    const auto similarity = tape.constant(messages.rows.rows(), 1);
    // One by one: Eigen's own logarithm rounds by where in the batch a number stands.
    for (Index e = 0; e < similarity.rows(); ++e) {
      similarity.value()(e, 0) = std::log(messages.weights.value()(e, 0));
    }
    const double d = static_cast<double>(keys.cols() / heads_);
    const auto logits =
        autograd::add(autograd::scale(dot_heads(queries, keys, heads_), 1.0 / std::sqrt(d)),
                      autograd::matmul(similarity, bound[similarity_]));
    const auto alpha =
        autograd::dropout(autograd::segment_softmax(logits, messages.offsets), dropout, rng);
    return autograd::add(autograd::linear(x, bound[self_], bound[bias_]),
                         sum_heads(values, alpha, messages.offsets));
  }

 private:
  Index heads_;
  int self_, query_, key_, value_, similarity_, bias_;
};

}  // namespace ecseq::gnn
