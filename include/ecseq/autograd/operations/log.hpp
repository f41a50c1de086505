#pragma once

#include <cmath>

#include "ecseq/autograd/tape.hpp"

namespace ecseq::autograd {

/// y = log(x), element by element; -inf at 0 and NaN below.  x: [n, d]
template <class Scalar>
class Log final : public Operation<Scalar> {
 public:
  explicit Log(Variable<Scalar> x) : x_(x) {}

  void forward(Values<Scalar> y) override {
    const Scalar* x = x_.value().data();
    for (Index i = 0; i < y.size(); ++i) y.data()[i] = std::log(x[i]);
  }

  // dx = dy / x
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    const Scalar* x = x_.value().data();
    Scalar* dx = x_.gradient().data();
    for (Index i = 0; i < dy.size(); ++i) dx[i] += dy.data()[i] / x[i];
  }

 private:
  Variable<Scalar> x_;
};

template <class Scalar>
Variable<Scalar> log(Variable<Scalar> x) {
  return x.tape().template apply<Log<Scalar>>(x.rows(), x.cols(), x.needs_gradient(), x);
}

}  // namespace ecseq::autograd
