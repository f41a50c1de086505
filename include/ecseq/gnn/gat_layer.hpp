#pragma once

#include <cmath>
#include <string>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/gnn/heads.hpp"
#include "ecseq/gnn/messages.hpp"
#include "ecseq/nn/parameters.hpp"

namespace ecseq::gnn {

/// Graph attention (Velickovic et al., ICLR 2018), heads side by side, with self-loops:
///   z_t = sum over s of alpha_ts W x_s + b,   s over t and the sources of t's edges,
///   alpha_t. = softmax over s of LeakyReLU(a_source . W x_s + a_target . W x_t), slope 0.2
/// Targets and sources have features of one kind; the edges' weights are not used.
template <class Scalar>
class GatLayer {
 public:
  static constexpr double kSlope = 0.2;

  /// out: columns of all heads together, a multiple of `heads`.
  GatLayer(nn::Parameters<Scalar>& parameters, const std::string& name, Index in, Index out,
           Index heads, Rng& rng) {
    const Index d = out / heads;
    const double bound = std::sqrt(6.0 / static_cast<double>(in + out));
    const double vector_bound = std::sqrt(6.0 / static_cast<double>(1 + d));
    weight_ = parameters.add_uniform(name + ".weight", in, out, bound, rng);
    source_ = parameters.add_uniform(name + ".source", heads, d, vector_bound, rng);
    target_ = parameters.add_uniform(name + ".target", heads, d, vector_bound, rng);
    bias_ = parameters.add(name + ".bias", 1, out);
  }

  /// x: [targets, in] -> [targets, out]. dropout: of the attention weights.
  autograd::Variable<Scalar> forward(const nn::BoundParameters<Scalar>& bound,
                                     autograd::Variable<Scalar> x, const Messages<Scalar>& messages,
                                     double dropout, Rng& rng) const {
    const Loops loops = with_self_loops(x, messages);
    const auto projected = autograd::matmul(loops.rows, bound[weight_]);
    const auto own = autograd::matmul(x, bound[weight_]);
    const auto logits = autograd::leaky_relu(
        autograd::add(score_heads(projected, bound[source_]),
                      autograd::gather_rows(score_heads(own, bound[target_]),
                                            targets_of(x.tape(), loops.offsets))),
        kSlope);
    const auto alpha =
        autograd::dropout(autograd::segment_softmax(logits, loops.offsets), dropout, rng);
    return add_bias(sum_heads(projected, alpha, loops.offsets), bound[bias_]);
  }

 private:
  struct Loops {
    std::span<const Index> offsets;
    autograd::Variable<Scalar> rows;
  };

  /// Each target's own row before those of its edges.
  static Loops with_self_loops(autograd::Variable<Scalar> x, const Messages<Scalar>& messages) {
    auto& tape = x.tape();
    const Index n = x.rows(), edges = messages.rows.rows();
    Index* const offsets = tape.template scratch_of<Index>(n + 1);
    Index* const own = tape.template scratch_of<Index>(n);
    Index* const heard = tape.template scratch_of<Index>(edges);
    for (Index t = 0; t <= n; ++t) {
      offsets[t] = messages.offsets[static_cast<std::size_t>(t)] + t;
      if (t == n) break;
      own[t] = offsets[t];
      for (Index e = messages.offsets[static_cast<std::size_t>(t)];
           e < messages.offsets[static_cast<std::size_t>(t) + 1]; ++e) {
        heard[e] = e + t + 1;
      }
    }
    const auto size = static_cast<std::size_t>(n);
    return {{offsets, size + 1},
            autograd::add(autograd::scatter_add_rows(x, {own, size}, n + edges),
                          autograd::scatter_add_rows(
                              messages.rows, {heard, static_cast<std::size_t>(edges)}, n + edges))};
  }

  int weight_, source_, target_, bias_;
};

}  // namespace ecseq::gnn
