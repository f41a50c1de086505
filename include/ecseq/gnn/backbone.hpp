#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ecseq/gnn/attention_layer.hpp"
#include "ecseq/gnn/gat_layer.hpp"
#include "ecseq/gnn/gcn_layer.hpp"
#include "ecseq/gnn/sage_layer.hpp"
#include "ecseq/nn/activation.hpp"

namespace ecseq::gnn {

struct BackboneOptions {
  std::string kind = "sage_mean";  ///< "sage_mean", "sage_max", "gcn", "gat" or "attention"
  Index n_layers = 1;              ///< 1 or 2
  Index heads = 4;                 ///< of "gat" and "attention"; divides the output's columns
  nn::Activation activation = nn::Activation::kRelu;  ///< between two layers
  double dropout = 0.0;  ///< of the attention weights of "gat" and "attention"
};

/// Targets and what they hear; everything on one tape.
template <class Scalar>
struct BackboneInput {
  autograd::Variable<Scalar> self;  ///< [targets, s], a target's own features
  autograd::Variable<Scalar> node;  ///< [targets, f], a target in the sources' space: of the kinds
                                    ///< whose nodes are all alike ("gcn", "gat")
  Messages<Scalar> attached;        ///< from sources to targets
  Messages<Scalar> among;  ///< two layers: for every edge of `attached`, what its source hears of
                           ///< the other sources
};

/// The graph layers over targets and representatives (ECSeq section III-D): one layer, or two of
/// which the first also lets the representatives hear one another. No edge joins two targets.
///
/// "sage_mean", "sage_max" and "attention" tell a target's own features from a source's; with two
/// layers the sources have a first layer of their own. "gcn" and "gat" have nodes of one kind.
template <class Scalar>
class Backbone {
 public:
  /// self, source: columns of a target's own and of a source's features; out: of the result and,
  /// with two layers, of what lies between.
  Backbone(nn::Parameters<Scalar>& parameters, const std::string& name,
           const BackboneOptions& options, Index self, Index source, Index out, Rng& rng)
      : options_(options) {
    const bool one_kind = has_nodes_of_one_kind(options.kind);
    const Index own = one_kind ? source : self;
    layers_.push_back(make(parameters, name + ".1", own, source, out, rng));
    if (options.n_layers == 1) return;
    layers_.push_back(make(parameters, name + ".2", out, out, out, rng));
    if (!one_kind) among_ = make(parameters, name + ".among", source, source, out, rng);
  }

  static bool has_nodes_of_one_kind(const std::string& kind) {
    return kind == "gcn" || kind == "gat";
  }

  /// [targets, out], before any activation.
  autograd::Variable<Scalar> forward(const nn::BoundParameters<Scalar>& bound,
                                     const BackboneInput<Scalar>& input, double dropout,
                                     Rng& rng) const {
    const auto own = has_nodes_of_one_kind(options_.kind) ? input.node : input.self;
    const auto first = run(layers_.front(), bound, own, input.attached, dropout, rng);
    if (options_.n_layers == 1) return first;
    const auto sources = run(among_ ? *among_ : layers_.front(), bound, input.attached.rows,
                             input.among, dropout, rng);
    const Messages<Scalar> heard{input.attached.offsets, nn::activate(sources, options_.activation),
                                 input.attached.weights};
    return run(layers_.back(), bound, nn::activate(first, options_.activation), heard, dropout,
               rng);
  }

 private:
  using Layer =
      std::variant<SageLayer<Scalar>, GcnLayer<Scalar>, GatLayer<Scalar>, AttentionLayer<Scalar>>;

  Layer make(nn::Parameters<Scalar>& parameters, const std::string& name, Index self, Index source,
             Index out, Rng& rng) const {
    if (options_.kind == "gcn") return GcnLayer<Scalar>(parameters, name, source, out, rng);
    if (options_.kind == "gat") {
      return GatLayer<Scalar>(parameters, name, source, out, options_.heads, rng);
    }
    if (options_.kind == "attention") {
      return AttentionLayer<Scalar>(parameters, name, self, source, out, options_.heads, rng);
    }
    const auto aggregation =
        options_.kind == "sage_max" ? SageAggregation::kMax : SageAggregation::kMean;
    return SageLayer<Scalar>(parameters, name, self, source, out, aggregation, rng);
  }

  static autograd::Variable<Scalar> run(const Layer& layer,
                                        const nn::BoundParameters<Scalar>& bound,
                                        autograd::Variable<Scalar> x,
                                        const Messages<Scalar>& messages, double dropout,
                                        Rng& rng) {
    return std::visit(
        [&](const auto& chosen) {
          if constexpr (requires { chosen.forward(bound, x, messages, dropout, rng); }) {
            return chosen.forward(bound, x, messages, dropout, rng);
          } else {
            return chosen.forward(bound, x, messages);
          }
        },
        layer);
  }

  BackboneOptions options_;
  std::vector<Layer> layers_;
  std::optional<Layer> among_;  ///< the sources' first layer, where it is not the targets'
};

}  // namespace ecseq::gnn
