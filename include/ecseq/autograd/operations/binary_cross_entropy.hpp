#pragma once

#include <cmath>

#include "ecseq/autograd/operations/shapes.hpp"

namespace ecseq::autograd {

/// Sum over rows of w_i * (-y_i log p_i - (1 - y_i) log(1 - p_i)) with p = 1 / (1 + exp(-z)).
/// logits z: [n, 1], targets y: [n, 1] in [0, 1], weights w: [n] or null (all 1); result [1, 1].
/// Targets and weights are read again by the backward pass.
template <class Scalar>
class BinaryCrossEntropy final : public Operation<Scalar> {
 public:
  BinaryCrossEntropy(Variable<Scalar> logits, MatrixView<Scalar> targets, const Scalar* weights)
      : logits_(logits), targets_(targets), weights_(weights) {}

  // -y log p - (1 - y) log(1 - p) = max(z, 0) - z y + log(1 + exp(-|z|)): exp cannot overflow
  void forward(Values<Scalar> loss) override {
    double sum = 0.0;
    for (Index i = 0; i < logits_.rows(); ++i) {
      const Scalar z = logits_.value()(i, 0);
      const Scalar row =
          (z < Scalar(0) ? Scalar(0) : z) - z * targets_(i, 0) + std::log1p(std::exp(-std::abs(z)));
      sum += static_cast<double>(weight(i) * row);
    }
    loss(0, 0) = static_cast<Scalar>(sum);
  }

  // dz_i = dloss w_i (p_i - y_i)
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dloss) override {
    auto dz = logits_.gradient();
    for (Index i = 0; i < logits_.rows(); ++i) {
      const Scalar z = logits_.value()(i, 0);
      const Scalar e = std::exp(-std::abs(z));
      const Scalar p = (z < Scalar(0) ? e : Scalar(1)) / (Scalar(1) + e);
      dz(i, 0) += dloss(0, 0) * weight(i) * (p - targets_(i, 0));
    }
  }

 private:
  Scalar weight(Index i) const { return weights_ ? weights_[i] : Scalar(1); }
  Variable<Scalar> logits_;
  MatrixView<Scalar> targets_;
  const Scalar* weights_;
};

template <class Scalar>
Variable<Scalar> binary_cross_entropy(Variable<Scalar> logits,
                                      std::type_identity_t<MatrixView<Scalar>> targets,
                                      const std::type_identity_t<Scalar>* weights) {
  require_shape(logits, logits.rows(), 1, "logits");
  require_shape(targets, logits.rows(), 1, "targets");
  return logits.tape().template apply<BinaryCrossEntropy<Scalar>>(1, 1, logits.needs_gradient(),
                                                                  logits, targets, weights);
}

}  // namespace ecseq::autograd
