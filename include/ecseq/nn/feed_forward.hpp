#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/kernels/dense.hpp"
#include "ecseq/nn/parameters.hpp"

namespace ecseq::nn {

/// y = W2 relu(W1 x + b1) + b2, or y = W x + b where `hidden` is 0. With neighbours' means among
/// the columns of x it is a GraphSAGE-mean layer and its head (gnn/sage_mean.hpp).
class FeedForward {
 public:
  FeedForward() = default;
  /// Weights uniform in +-sqrt(6 / fan_in) (hidden; He et al. 2015) and +-1/sqrt(fan_in) (output).
  FeedForward(Index in, Index hidden, Index out, Rng& rng) : in_(in), hidden_(hidden), out_(out) {
    if (hidden > 0) {
      parameters_.add_uniform("hidden.weight", in, hidden, std::sqrt(6.0 / double(in)), rng);
      parameters_.add("hidden.bias", 1, hidden);
      parameters_.add_uniform("output.weight", hidden, out, 1.0 / std::sqrt(double(hidden)), rng);
    } else {
      parameters_.add("output.weight", in, out);
    }
    parameters_.add("output.bias", 1, out);
  }

  Index in() const { return in_; }
  Index hidden() const { return hidden_; }
  Index out() const { return out_; }
  Parameters<float>& parameters() { return parameters_; }
  const Parameters<float>& parameters() const { return parameters_; }

  /// x: [n, in] -> [n, out], recorded on the tape; dropout acts on the hidden layer.
  autograd::Variable<float> forward(const BoundParameters<float>& bound,
                                    autograd::Variable<float> x, double dropout, Rng& rng) const {
    if (hidden_ == 0) return autograd::linear(x, bound[0], bound[1]);
    auto z = autograd::relu(autograd::linear(x, bound[0], bound[1]));
    z = autograd::dropout(z, dropout, rng);
    return autograd::linear(z, bound[2], bound[3]);
  }

  /// Weights in the layout of the prediction kernels; to be repeated after they change.
  struct Packed {
    kernels::PackedDense hidden;
    kernels::PackedDense output;
  };
  Packed pack() const;

  /// z = relu(W1 x + b1). x: [rows, in]; z: [rows, hidden]. `scratch` grows as needed.
  void hidden_layer(const Packed& packed, const float* x, Index rows, float* z,
                    std::vector<float>& scratch) const;
  /// y: [rows, out]. A row's result does not depend on the other rows.
  void predict(const Packed& packed, const float* x, Index rows, float* y) const;

 private:
  Index in_ = 0;
  Index hidden_ = 0;
  Index out_ = 0;
  Parameters<float> parameters_;
};

}  // namespace ecseq::nn
