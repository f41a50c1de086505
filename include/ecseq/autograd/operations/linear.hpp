#pragma once

#include "ecseq/autograd/operations/product.hpp"
#include "ecseq/autograd/operations/shapes.hpp"

namespace ecseq::autograd::inline ECSEQ_LEVEL {

/// y = x W + 1 b.  x: [n, in], weight: [in, out], bias: [1, out]
template <class Scalar>
class Linear final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  Linear(V x, V weight, V bias) : x_(x), weight_(weight), bias_(bias) {}

  void forward(Values<Scalar> y) override {
    multiply_row_wise<Scalar>(x_.tape(), x_.value(), weight_.value(), bias_.value().data(), y);
  }

  // dx = dy W',  dW = x' dy,  db = 1' dy
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    if (x_.needs_gradient()) add_product(x_, dy, weight_.value().transpose());
    if (weight_.needs_gradient()) add_product(weight_, x_.value().transpose(), dy);
    if (bias_.needs_gradient()) add_column_sums(bias_, dy);
  }

 private:
  V x_, weight_, bias_;
};

template <class Scalar>
Variable<Scalar> linear(Variable<Scalar> x, Variable<Scalar> weight, Variable<Scalar> bias) {
  require_shape(weight, x.cols(), weight.cols(), "weight");
  require_shape(bias, 1, weight.cols(), "bias");
  return x.tape().template apply<Linear<Scalar>>(
      x.rows(), weight.cols(),
      x.needs_gradient() || weight.needs_gradient() || bias.needs_gradient(), x, weight, bias);
}

}  // namespace ecseq::autograd
