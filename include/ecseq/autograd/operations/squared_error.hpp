#pragma once

#include "ecseq/autograd/operations/shapes.hpp"

namespace ecseq::autograd {

/// Sum over rows of w_i * sum_c (y_ic - t_ic)^2.
/// y, targets t: [n, c], weights w: [n] or null (all 1); result [1, 1].
/// Targets and weights are read again by the backward pass.
template <class Scalar>
class SquaredError final : public Operation<Scalar> {
 public:
  SquaredError(Variable<Scalar> y, MatrixView<Scalar> targets, const Scalar* weights)
      : y_(y), targets_(targets), weights_(weights) {}

  void forward(Values<Scalar> loss) override {
    double sum = 0.0;
    for (Index i = 0; i < y_.rows(); ++i) {
      Scalar row = 0;
      for (Index c = 0; c < y_.cols(); ++c) {
        const Scalar error = y_.value()(i, c) - targets_(i, c);
        row += error * error;
      }
      sum += static_cast<double>(weight(i) * row);
    }
    loss(0, 0) = static_cast<Scalar>(sum);
  }

  // dy_i = dloss w_i 2 (y_i - t_i)
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dloss) override {
    auto dy = y_.gradient();
    for (Index i = 0; i < y_.rows(); ++i) {
      const Scalar factor = Scalar(2) * dloss(0, 0) * weight(i);
      for (Index c = 0; c < y_.cols(); ++c)
        dy(i, c) += factor * (y_.value()(i, c) - targets_(i, c));
    }
  }

 private:
  Scalar weight(Index i) const { return weights_ ? weights_[i] : Scalar(1); }
  Variable<Scalar> y_;
  MatrixView<Scalar> targets_;
  const Scalar* weights_;
};

template <class Scalar>
Variable<Scalar> squared_error(Variable<Scalar> y, std::type_identity_t<MatrixView<Scalar>> targets,
                               const std::type_identity_t<Scalar>* weights) {
  require_shape(targets, y.rows(), y.cols(), "targets");
  return y.tape().template apply<SquaredError<Scalar>>(1, 1, y.needs_gradient(), y, targets,
                                                       weights);
}

}  // namespace ecseq::autograd
