#pragma once

#include <cmath>
#include <vector>

#include "ecseq/nn/optimizer.hpp"

namespace ecseq::nn {

enum class WeightDecay {
  kL2,         ///< decay p is added to the gradient
  kDecoupled,  ///< parameters shrink by the factor 1 - learning rate * decay (AdamW)
};

/// Adam (Kingma and Ba 2015, algorithm 1; AdamW: Loshchilov and Hutter 2019, algorithm 2) with
/// beta = (0.9, 0.999) and epsilon = 1e-8.
class Adam final : public Optimizer {
 public:
  Adam(std::size_t size, double weight_decay, WeightDecay kind)
      : weight_decay_(weight_decay), kind_(kind), m_(size, 0.0F), v_(size, 0.0F) {}

  void step(std::span<float> parameters, std::span<const float> gradient,
            double learning_rate) override {
    ++steps_;
    const auto rate = static_cast<float>(learning_rate / (1.0 - std::pow(kBeta1, steps_)));
    const auto correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(kBeta2, steps_)));
    if (kind_ == WeightDecay::kDecoupled) {
      const auto decay = static_cast<float>(1.0 - learning_rate * weight_decay_);
      update(parameters, rate, correction, decay, [&](std::size_t i) { return gradient[i]; });
    } else {
      const auto decay = static_cast<float>(weight_decay_);
      update(parameters, rate, correction, 1.0F,
             [&](std::size_t i) { return gradient[i] + decay * parameters[i]; });
    }
  }

 private:
  template <class Gradient>
  void update(std::span<float> parameters, float rate, float correction, float decay,
              const Gradient& gradient) {
    constexpr auto b1 = static_cast<float>(kBeta1), b2 = static_cast<float>(kBeta2);
    // A plain loop: Eigen's packet square root is not its scalar one, and which of the two an
    // element meets depends on where the vector lies in memory.
    float *p = parameters.data(), *m = m_.data(), *v = v_.data();
    for (std::size_t i = 0; i < m_.size(); ++i) {
      const float g = gradient(i);
      m[i] = b1 * m[i] + (1.0F - b1) * g;      // m_t = b1 m_(t-1) + (1 - b1) g
      v[i] = b2 * v[i] + (1.0F - b2) * g * g;  // v_t = b2 v_(t-1) + (1 - b2) g^2
      // p_t = decay p_(t-1) - lr m^ / (sqrt(v^) + eps), with m^ = m_t / (1 - b1^t),
      // v^ = v_t / (1 - b2^t)
      p[i] = decay * p[i] - rate * m[i] / (std::sqrt(v[i]) * correction + kEpsilon);
    }
  }

  static constexpr double kBeta1 = 0.9;
  static constexpr double kBeta2 = 0.999;
  static constexpr float kEpsilon = 1e-8F;
  double weight_decay_;
  WeightDecay kind_;
  int steps_ = 0;
  std::vector<float> m_;  ///< first moment
  std::vector<float> v_;  ///< second moment
};

}  // namespace ecseq::nn
