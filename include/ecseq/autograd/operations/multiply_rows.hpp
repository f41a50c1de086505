#pragma once

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// y_i = w_i x_i, e.g. attention weights times what they weigh.  x: [n, d], w: [n, 1]
template <class Scalar>
class MultiplyRows final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  MultiplyRows(V x, V weights) : x_(x), weights_(weights) {}

  void forward(Values<Scalar> y) override {
    for (Index i = 0; i < x_.rows(); ++i) {
      const Scalar weight = *value_row(weights_, i);
      const Scalar* x = value_row(x_, i);
      Scalar* out = y.data() + i * y.cols();
      for (Index j = 0; j < x_.cols(); ++j) out[j] = weight * x[j];
    }
  }

  // dx_i = w_i dy_i,  dw_i = dy_i . x_i
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    for (Index i = 0; i < x_.rows(); ++i) {
      const Scalar* d = dy.data() + i * dy.cols();
      if (x_.needs_gradient()) {
        const Scalar weight = *value_row(weights_, i);
        Scalar* dx = gradient_row(x_, i);
        for (Index j = 0; j < x_.cols(); ++j) dx[j] += weight * d[j];
      }
      if (weights_.needs_gradient()) {
        const Scalar* x = value_row(x_, i);
        Scalar sum = 0;
        for (Index j = 0; j < x_.cols(); ++j) sum += d[j] * x[j];
        *gradient_row(weights_, i) += sum;
      }
    }
  }

 private:
  V x_, weights_;
};

template <class Scalar>
Variable<Scalar> multiply_rows(Variable<Scalar> x, Variable<Scalar> weights) {
  require_shape(weights, x.rows(), 1, "weights");
  return x.tape().template apply<MultiplyRows<Scalar>>(
      x.rows(), x.cols(), x.needs_gradient() || weights.needs_gradient(), x, weights);
}

}  // namespace ecseq::autograd
