#pragma once

#include "ecseq/autograd/operations/product.hpp"
#include "ecseq/autograd/operations/shapes.hpp"

namespace ecseq::autograd::inline ECSEQ_LEVEL {

/// y = x W.  x: [n, in], weight: [in, out]
template <class Scalar>
class Matmul final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  Matmul(V x, V weight) : x_(x), weight_(weight) {}

  void forward(Values<Scalar> y) override {
    multiply_row_wise<Scalar>(x_.tape(), x_.value(), weight_.value(), nullptr, y);
  }

  // dx = dy W',  dW = x' dy
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    if (x_.needs_gradient()) add_product(x_, dy, weight_.value().transpose());
    if (weight_.needs_gradient()) add_product(weight_, x_.value().transpose(), dy);
  }

 private:
  V x_, weight_;
};

template <class Scalar>
Variable<Scalar> matmul(Variable<Scalar> x, Variable<Scalar> weight) {
  require_shape(weight, x.cols(), weight.cols(), "weight");
  return x.tape().template apply<Matmul<Scalar>>(
      x.rows(), weight.cols(), x.needs_gradient() || weight.needs_gradient(), x, weight);
}

}  // namespace ecseq::autograd
