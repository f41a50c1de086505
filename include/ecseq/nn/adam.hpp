#pragma once

#include <cmath>
#include <vector>

namespace ecseq::nn {

/// Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019).
class Adam {
 public:
  Adam(std::size_t size, double learning_rate, double weight_decay)
      : learning_rate_(learning_rate),
        weight_decay_(weight_decay),
        m_(size, 0.0F),
        v_(size, 0.0F) {}

  /// parameters, gradient: flat, of the constructor's size
  void step(std::vector<float>& parameters, const std::vector<float>& gradient) {
    ++steps_;
    const auto rate = static_cast<float>(learning_rate_ / (1.0 - std::pow(kBeta1, steps_)));
    const auto correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(kBeta2, steps_)));
    const auto decay = static_cast<float>(1.0 - learning_rate_ * weight_decay_);
    constexpr auto b1 = static_cast<float>(kBeta1), b2 = static_cast<float>(kBeta2);
    // A plain loop: Eigen's packet square root is not its scalar one, and which of the two an
    // element meets depends on where the vector lies in memory.
    float *p = parameters.data(), *m = m_.data(), *v = v_.data();
    const float* g = gradient.data();
    for (std::size_t i = 0; i < m_.size(); ++i) {
      m[i] = b1 * m[i] + (1.0F - b1) * g[i];         // m_t = b1 m_(t-1) + (1 - b1) g
      v[i] = b2 * v[i] + (1.0F - b2) * g[i] * g[i];  // v_t = b2 v_(t-1) + (1 - b2) g^2
      // p_t = p_(t-1) (1 - lr decay) - lr m^ / (sqrt(v^) + eps), with m^ = m_t / (1 - b1^t),
      // v^ = v_t / (1 - b2^t)
      p[i] = decay * p[i] - rate * m[i] / (std::sqrt(v[i]) * correction + kEpsilon);
    }
  }

 private:
  static constexpr double kBeta1 = 0.9;
  static constexpr double kBeta2 = 0.999;
  static constexpr float kEpsilon = 1e-8F;
  double learning_rate_;
  double weight_decay_;
  int steps_ = 0;
  std::vector<float> m_;  ///< first moment
  std::vector<float> v_;  ///< second moment
};

}  // namespace ecseq::nn
