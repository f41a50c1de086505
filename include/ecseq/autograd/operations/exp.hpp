#pragma once

#include <cmath>

#include "ecseq/autograd/tape.hpp"

namespace ecseq::autograd {

/// y = exp(x), element by element.  x: [n, d]
template <class Scalar>
class Exp final : public Operation<Scalar> {
 public:
  explicit Exp(Variable<Scalar> x) : x_(x) {}

  void forward(Values<Scalar> y) override {
    const Scalar* x = x_.value().data();
    for (Index i = 0; i < y.size(); ++i) y.data()[i] = std::exp(x[i]);
  }

  // dx = dy y
  void backward(ConstValues<Scalar> y, ConstValues<Scalar> dy) override {
    Scalar* dx = x_.gradient().data();
    for (Index i = 0; i < y.size(); ++i) dx[i] += dy.data()[i] * y.data()[i];
  }

 private:
  Variable<Scalar> x_;
};

template <class Scalar>
Variable<Scalar> exp(Variable<Scalar> x) {
  return x.tape().template apply<Exp<Scalar>>(x.rows(), x.cols(), x.needs_gradient(), x);
}

}  // namespace ecseq::autograd
