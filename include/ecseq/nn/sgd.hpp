#pragma once

#include <vector>

#include "ecseq/nn/optimizer.hpp"

namespace ecseq::nn {

/// Gradient descent with momentum (Sutskever et al. 2013, section 2) as PyTorch writes it: the
/// learning rate multiplies the velocity, so a schedule acts on past gradients too.
class Sgd final : public Optimizer {
 public:
  Sgd(std::size_t size, double momentum, double weight_decay)
      : momentum_(static_cast<float>(momentum)),
        decay_(static_cast<float>(weight_decay)),
        velocity_(size, 0.0F) {}

  void step(std::span<float> parameters, std::span<const float> gradient,
            double learning_rate) override {
    const auto rate = static_cast<float>(learning_rate);
    for (std::size_t i = 0; i < velocity_.size(); ++i) {
      // v_t = momentum v_(t-1) + g + decay p_(t-1),  p_t = p_(t-1) - lr v_t
      velocity_[i] = momentum_ * velocity_[i] + (gradient[i] + decay_ * parameters[i]);
      parameters[i] -= rate * velocity_[i];
    }
  }

 private:
  float momentum_;
  float decay_;
  std::vector<float> velocity_;
};

}  // namespace ecseq::nn
