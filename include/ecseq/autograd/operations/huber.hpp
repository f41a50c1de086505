#pragma once

#include <cmath>

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// Sum over rows of w_i * sum_c h(y_ic - t_ic), where h(e) = e^2 / 2 for |e| <= delta, else
/// delta (|e| - delta / 2) (Huber 1964): an outlier pulls with a bounded force.
/// y, targets t: [n, c], weights w: [n] or null (all 1); result [1, 1].
/// Targets and weights are read again by the backward pass.
template <class Scalar>
class Huber final : public Operation<Scalar> {
 public:
  Huber(Variable<Scalar> y, MatrixView<Scalar> targets, const Scalar* weights, Scalar delta)
      : y_(y), targets_(targets), weights_(weights), delta_(delta) {}

  void forward(Values<Scalar> loss) override {
    double sum = 0.0;
    for (Index i = 0; i < y_.rows(); ++i) {
      Scalar row = 0;
      for (Index c = 0; c < y_.cols(); ++c) {
        const Scalar e = std::abs(error(i, c));
        row += e > delta_ ? delta_ * (e - delta_ / Scalar(2)) : e * e / Scalar(2);
      }
      sum += static_cast<double>(weight(i) * row);
    }
    loss(0, 0) = static_cast<Scalar>(sum);
  }

  // dy_ic = dloss w_i e, with e = y_ic - t_ic held within +-delta
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dloss) override {
    for (Index i = 0; i < y_.rows(); ++i) {
      const Scalar factor = dloss(0, 0) * weight(i);
      Scalar* dy = gradient_row(y_, i);
      for (Index c = 0; c < y_.cols(); ++c) {
        const Scalar e = error(i, c);
        dy[c] += factor * (e > delta_ ? delta_ : e < -delta_ ? -delta_ : e);
      }
    }
  }

 private:
  Scalar error(Index i, Index c) const { return value_row(y_, i)[c] - targets_(i, c); }
  Scalar weight(Index i) const { return weights_ ? weights_[i] : Scalar(1); }
  Variable<Scalar> y_;
  MatrixView<Scalar> targets_;
  const Scalar* weights_;
  Scalar delta_;
};

template <class Scalar>
Variable<Scalar> huber(Variable<Scalar> y, std::type_identity_t<MatrixView<Scalar>> targets,
                       const std::type_identity_t<Scalar>* weights, double delta = 1.0) {
  require_shape(targets, y.rows(), y.cols(), "targets");
  require_positive(delta, "delta");
  return y.tape().template apply<Huber<Scalar>>(1, 1, y.needs_gradient(), y, targets, weights,
                                                static_cast<Scalar>(delta));
}

}  // namespace ecseq::autograd
