#pragma once

#include <cmath>
#include <string>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/gnn/messages.hpp"
#include "ecseq/nn/parameters.hpp"

namespace ecseq::gnn {

/// GraphSAGE (Hamilton, Ying and Leskovec, NeurIPS 2017):
///   z_t = W_self x_t + W_sources m_t + b
/// with m_t the sum of w_e x_e over t's edges, which is their mean where the weights sum to 1
/// (mean), or the largest x_e of each column, whatever the weights (max); 0 without an edge.
enum class SageAggregation { kMean, kMax };

template <class Scalar>
class SageLayer {
 public:
  /// Adds its parameters, under `name`, to `parameters`. self, source: columns of a target's and of
  /// a source's features.
  SageLayer(nn::Parameters<Scalar>& parameters, const std::string& name, Index self, Index source,
            Index out, SageAggregation aggregation, Rng& rng)
      : aggregation_(aggregation) {
    const double bound = std::sqrt(6.0 / static_cast<double>(self + source));
    self_ = parameters.add_uniform(name + ".self.weight", self, out, bound, rng);
    source_ = parameters.add_uniform(name + ".source.weight", source, out, bound, rng);
    bias_ = parameters.add(name + ".bias", 1, out);
  }

  /// x: [targets, self] -> [targets, out]
  autograd::Variable<Scalar> forward(const nn::BoundParameters<Scalar>& bound,
                                     autograd::Variable<Scalar> x,
                                     const Messages<Scalar>& messages) const {
    const auto heard =
        aggregation_ == SageAggregation::kMax
            ? autograd::segment_max(messages.rows, messages.offsets)
            : autograd::segment_sum(autograd::multiply_rows(messages.rows, messages.weights),
                                    messages.offsets);
    return autograd::add(autograd::linear(x, bound[self_], bound[bias_]),
                         autograd::matmul(heard, bound[source_]));
  }

 private:
  SageAggregation aggregation_;
  int self_, source_, bias_;
};

}  // namespace ecseq::gnn
