#pragma once

#include "ecseq/autograd/operations/shapes.hpp"

namespace ecseq::autograd {

/// y = a + factor b.  a, b: the same shape
template <class Scalar>
class AddScaled final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  AddScaled(V a, V b, Scalar factor) : a_(a), b_(b), factor_(factor) {}

  void forward(Values<Scalar> y) override { y = a_.value() + factor_ * b_.value(); }

  // da = dy,  db = factor dy
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    if (a_.needs_gradient()) a_.gradient() += dy;
    if (b_.needs_gradient()) b_.gradient() += factor_ * dy;
  }

 private:
  V a_, b_;
  Scalar factor_;
};

/// a + factor b, e.g. to sum losses.
template <class Scalar>
Variable<Scalar> add_scaled(Variable<Scalar> a, Variable<Scalar> b,
                            std::type_identity_t<Scalar> factor) {
  require_shape(b, a.rows(), a.cols(), "b");
  return a.tape().template apply<AddScaled<Scalar>>(
      a.rows(), a.cols(), a.needs_gradient() || b.needs_gradient(), a, b, factor);
}

template <class Scalar>
Variable<Scalar> add(Variable<Scalar> a, Variable<Scalar> b) {
  return add_scaled(a, b, Scalar(1));
}

template <class Scalar>
Variable<Scalar> subtract(Variable<Scalar> a, Variable<Scalar> b) {
  return add_scaled(a, b, Scalar(-1));
}

}  // namespace ecseq::autograd
