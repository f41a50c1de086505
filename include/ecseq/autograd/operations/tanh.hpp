#pragma once

#include "ecseq/autograd/tape.hpp"

namespace ecseq::autograd {

/// y = tanh(x), element by element.  x: [n, d]
template <class Scalar>
class Tanh final : public Operation<Scalar> {
 public:
  explicit Tanh(Variable<Scalar> x) : x_(x) {}

  void forward(Values<Scalar> y) override { y.array() = x_.value().array().tanh(); }

  // dx = dy (1 - y^2)
  void backward(ConstValues<Scalar> y, ConstValues<Scalar> dy) override {
    x_.gradient().array() += dy.array() * (Scalar(1) - y.array().square());
  }

 private:
  Variable<Scalar> x_;
};

template <class Scalar>
Variable<Scalar> tanh(Variable<Scalar> x) {
  return x.tape().template apply<Tanh<Scalar>>(x.rows(), x.cols(), x.needs_gradient(), x);
}

}  // namespace ecseq::autograd
