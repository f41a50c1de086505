#pragma once

#include <cmath>

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// Sum over pairs of w_i * -log sigmoid(p_i - q_i): Bayesian personalised ranking (Rendle et al.
/// 2009). scores of positive items p and of negative ones q: [n, 1], weights w: [n] or null (all
/// 1), read again by the backward pass; result [1, 1]
template <class Scalar>
class Bpr final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  Bpr(V positive, V negative, const Scalar* weights)
      : positive_(positive), negative_(negative), weights_(weights) {}

  // -log sigmoid(z) = max(-z, 0) + log(1 + exp(-|z|)): exp cannot overflow
  void forward(Values<Scalar> loss) override {
    double sum = 0.0;
    for (Index i = 0; i < positive_.rows(); ++i) {
      const Scalar z = difference(i);
      const Scalar row = (z > Scalar(0) ? Scalar(0) : -z) + std::log1p(std::exp(-std::abs(z)));
      sum += static_cast<double>(weight(i) * row);
    }
    loss(0, 0) = static_cast<Scalar>(sum);
  }

  // dp_i = -dloss w_i sigmoid(-(p_i - q_i)),  dq_i = -dp_i
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dloss) override {
    for (Index i = 0; i < positive_.rows(); ++i) {
      const Scalar z = difference(i), e = std::exp(-std::abs(z));
      const Scalar wrong = (z > Scalar(0) ? e : Scalar(1)) / (Scalar(1) + e);
      const Scalar gradient = dloss(0, 0) * weight(i) * wrong;
      if (positive_.needs_gradient()) *gradient_row(positive_, i) -= gradient;
      if (negative_.needs_gradient()) *gradient_row(negative_, i) += gradient;
    }
  }

 private:
  Scalar difference(Index i) const { return *value_row(positive_, i) - *value_row(negative_, i); }
  Scalar weight(Index i) const { return weights_ ? weights_[i] : Scalar(1); }
  V positive_, negative_;
  const Scalar* weights_;
};

template <class Scalar>
Variable<Scalar> bpr(Variable<Scalar> positive, Variable<Scalar> negative,
                     const std::type_identity_t<Scalar>* weights) {
  require_shape(positive, positive.rows(), 1, "positive");
  require_shape(negative, positive.rows(), 1, "negative");
  return positive.tape().template apply<Bpr<Scalar>>(
      1, 1, positive.needs_gradient() || negative.needs_gradient(), positive, negative, weights);
}

}  // namespace ecseq::autograd
