#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/nn/activation.hpp"
#include "ecseq/nn/parameters.hpp"

namespace ecseq::nn {

/// "hidden", "hidden2", ...: hidden layer l, counted from 0, among the parameters.
inline std::string hidden_layer_name(std::size_t l) {
  return l == 0 ? "hidden" : "hidden" + std::to_string(l + 1);
}

/// y = W_L act(... act(W_1 x + b_1) ...) + b_L on a tape: dense layers with an activation and
/// dropout after each but the last. Without a hidden layer, y = W x + b.
template <class Scalar>
class DenseLayers {
 public:
  DenseLayers() = default;
  /// Adds "<prefix>hidden.weight", "<prefix>hidden.bias", "<prefix>hidden2.weight", ...,
  /// "<prefix>output.weight", "<prefix>output.bias" to `parameters`. Weights are uniform in
  /// +-sqrt(6 / fan_in) (hidden; He et al. 2015) and +-1/sqrt(fan_in) (output after a hidden
  /// layer); without a hidden layer they start at 0.
  DenseLayers(Parameters<Scalar>& parameters, const std::string& prefix, Index in,
              const std::vector<Index>& hidden, Index out, Activation activation, Rng& rng)
      : activation_(activation) {
    Index fan_in = in;
    for (std::size_t l = 0; l < hidden.size(); ++l) {
      const std::string name = prefix + hidden_layer_name(l);
      weights_.push_back(parameters.add_uniform(name + ".weight", fan_in, hidden[l],
                                                std::sqrt(6.0 / double(fan_in)), rng));
      parameters.add(name + ".bias", 1, hidden[l]);
      fan_in = hidden[l];
    }
    weights_.push_back(hidden.empty()
                           ? parameters.add(prefix + "output.weight", in, out)
                           : parameters.add_uniform(prefix + "output.weight", fan_in, out,
                                                    1.0 / std::sqrt(double(fan_in)), rng));
    parameters.add(prefix + "output.bias", 1, out);
  }

  Activation activation() const { return activation_; }
  /// Numbers of the weight matrices, first layer first; the bias of each has the next number.
  const std::vector<int>& weights() const { return weights_; }

  /// x: [n, in] -> [n, out]
  autograd::Variable<Scalar> forward(const BoundParameters<Scalar>& bound,
                                     autograd::Variable<Scalar> x, double dropout, Rng& rng) const {
    for (std::size_t l = 0; l < weights_.size(); ++l) {
      x = autograd::linear(x, bound[weights_[l]], bound[weights_[l] + 1]);
      if (l + 1 < weights_.size()) x = autograd::dropout(activate(x, activation_), dropout, rng);
    }
    return x;
  }

 private:
  Activation activation_ = Activation::kRelu;
  std::vector<int> weights_;
};

}  // namespace ecseq::nn
