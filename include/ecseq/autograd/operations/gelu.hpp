#pragma once

#include <cmath>

#include "ecseq/autograd/tape.hpp"

namespace ecseq::autograd {

/// y = x Phi(x), Phi(x) = (1 + erf(x / sqrt(2))) / 2, element by element (Hendrycks and Gimpel
/// 2016, the exact form).  x: [n, d]
template <class Scalar>
class Gelu final : public Operation<Scalar> {
 public:
  explicit Gelu(Variable<Scalar> x) : x_(x) {}

  void forward(Values<Scalar> y) override {
    const Scalar* x = x_.value().data();
    for (Index i = 0; i < y.size(); ++i) y.data()[i] = x[i] * distribution(x[i]);
  }

  // dx = dy (Phi(x) + x phi(x)),  phi(x) = exp(-x^2 / 2) / sqrt(2 pi)
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    const Scalar* x = x_.value().data();
    Scalar* dx = x_.gradient().data();
    for (Index i = 0; i < dy.size(); ++i)
      dx[i] += dy.data()[i] * (distribution(x[i]) + x[i] * density(x[i]));
  }

 private:
  static Scalar distribution(Scalar x) {
    return Scalar(0.5) * (Scalar(1) + std::erf(x * Scalar(0.70710678118654752)));
  }
  static Scalar density(Scalar x) {
    return Scalar(0.39894228040143268) * std::exp(Scalar(-0.5) * x * x);
  }
  Variable<Scalar> x_;
};

template <class Scalar>
Variable<Scalar> gelu(Variable<Scalar> x) {
  return x.tape().template apply<Gelu<Scalar>>(x.rows(), x.cols(), x.needs_gradient(), x);
}

}  // namespace ecseq::autograd
