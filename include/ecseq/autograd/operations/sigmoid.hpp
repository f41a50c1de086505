#pragma once

#include "ecseq/autograd/tape.hpp"

namespace ecseq::autograd {

/// y = 1 / (1 + exp(-x)), element by element.  x: [n, d]
template <class Scalar>
class Sigmoid final : public Operation<Scalar> {
 public:
  explicit Sigmoid(Variable<Scalar> x) : x_(x) {}

  void forward(Values<Scalar> y) override { y.array() = x_.value().array().logistic(); }

  // dx = dy y (1 - y)
  void backward(ConstValues<Scalar> y, ConstValues<Scalar> dy) override {
    x_.gradient().array() += dy.array() * y.array() * (Scalar(1) - y.array());
  }

 private:
  Variable<Scalar> x_;
};

template <class Scalar>
Variable<Scalar> sigmoid(Variable<Scalar> x) {
  return x.tape().template apply<Sigmoid<Scalar>>(x.rows(), x.cols(), x.needs_gradient(), x);
}

}  // namespace ecseq::autograd
