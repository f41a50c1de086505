#pragma once

#include <cmath>
#include <string>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/gnn/messages.hpp"
#include "ecseq/nn/parameters.hpp"

namespace ecseq::gnn {

/// Graph convolution (Kipf and Welling, ICLR 2017) on directed edges with self-loops, which only
/// targets hear through: a target's degree is 1 + the sum of its edges' weights, a source's is 1.
///   z_t = W (x_t / deg_t + sum over t's edges of w_e x_e / sqrt(deg_t)) + b
/// Targets and sources have features of one kind.
template <class Scalar>
class GcnLayer {
 public:
  GcnLayer(nn::Parameters<Scalar>& parameters, const std::string& name, Index in, Index out,
           Rng& rng) {
    const double bound = std::sqrt(6.0 / static_cast<double>(in + out));
    weight_ = parameters.add_uniform(name + ".weight", in, out, bound, rng);
    bias_ = parameters.add(name + ".bias", 1, out);
  }

  /// x: [targets, in] -> [targets, out]; the weights of messages are constants.
  autograd::Variable<Scalar> forward(const nn::BoundParameters<Scalar>& bound,
                                     autograd::Variable<Scalar> x,
                                     const Messages<Scalar>& messages) const {
    auto& tape = x.tape();
    const auto own = tape.constant(x.rows(), 1);
    const auto heard = tape.constant(messages.rows.rows(), 1);
    for (Index t = 0; t < x.rows(); ++t) {
      const Index begin = messages.offsets[static_cast<std::size_t>(t)];
      const Index end = messages.offsets[static_cast<std::size_t>(t) + 1];
      Scalar degree = 1;
      for (Index e = begin; e < end; ++e) degree += messages.weights.value()(e, 0);
      own.value()(t, 0) = 1 / degree;
      for (Index e = begin; e < end; ++e) {
        heard.value()(e, 0) = messages.weights.value()(e, 0) / std::sqrt(degree);
      }
    }
    const auto mixed = autograd::add(
        autograd::multiply_rows(x, own),
        autograd::segment_sum(autograd::multiply_rows(messages.rows, heard), messages.offsets));
    return autograd::linear(mixed, bound[weight_], bound[bias_]);
  }

 private:
  int weight_, bias_;
};

}  // namespace ecseq::gnn
