#pragma once

#include "ecseq/autograd/operations/shapes.hpp"

namespace ecseq::autograd {

/// y = a b, element by element.  a, b: the same shape
template <class Scalar>
class Multiply final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  Multiply(V a, V b) : a_(a), b_(b) {}

  void forward(Values<Scalar> y) override { y = a_.value().cwiseProduct(b_.value()); }

  // da = dy b,  db = dy a
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    if (a_.needs_gradient()) a_.gradient() += dy.cwiseProduct(b_.value());
    if (b_.needs_gradient()) b_.gradient() += dy.cwiseProduct(a_.value());
  }

 private:
  V a_, b_;
};

template <class Scalar>
Variable<Scalar> multiply(Variable<Scalar> a, Variable<Scalar> b) {
  require_shape(b, a.rows(), a.cols(), "b");
  return a.tape().template apply<Multiply<Scalar>>(a.rows(), a.cols(),
                                                   a.needs_gradient() || b.needs_gradient(), a, b);
}

}  // namespace ecseq::autograd
