#pragma once

#include "ecseq/autograd/tape.hpp"

namespace ecseq::autograd {

/// y = max(x, 0), element by element.  x: [n, d]
template <class Scalar>
class Relu final : public Operation<Scalar> {
 public:
  explicit Relu(Variable<Scalar> x) : x_(x) {}

  void forward(Values<Scalar> y) override {
    y = (x_.value().array() < Scalar(0)).select(Scalar(0), x_.value());
  }

  // dx = dy where x > 0, else 0
  void backward(ConstValues<Scalar> y, ConstValues<Scalar> dy) override {
    x_.gradient().array() += (y.array() > Scalar(0)).select(dy.array(), Scalar(0));
  }

 private:
  Variable<Scalar> x_;
};

template <class Scalar>
Variable<Scalar> relu(Variable<Scalar> x) {
  return x.tape().template apply<Relu<Scalar>>(x.rows(), x.cols(), x.needs_gradient(), x);
}

}  // namespace ecseq::autograd
