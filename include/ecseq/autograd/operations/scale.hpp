#pragma once

#include "ecseq/autograd/tape.hpp"

namespace ecseq::autograd {

/// y = factor x.  x: [n, d]
template <class Scalar>
class Scale final : public Operation<Scalar> {
 public:
  Scale(Variable<Scalar> x, Scalar factor) : x_(x), factor_(factor) {}

  void forward(Values<Scalar> y) override { y = factor_ * x_.value(); }

  // dx = factor dy
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    x_.gradient() += factor_ * dy;
  }

 private:
  Variable<Scalar> x_;
  Scalar factor_;
};

template <class Scalar>
Variable<Scalar> scale(Variable<Scalar> x, std::type_identity_t<Scalar> factor) {
  return x.tape().template apply<Scale<Scalar>>(x.rows(), x.cols(), x.needs_gradient(), x, factor);
}

}  // namespace ecseq::autograd
