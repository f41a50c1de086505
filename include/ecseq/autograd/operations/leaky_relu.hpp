#pragma once

#include "ecseq/autograd/tape.hpp"

namespace ecseq::autograd {

/// y = x where x > 0, else slope x, element by element.  x: [n, d]
template <class Scalar>
class LeakyRelu final : public Operation<Scalar> {
 public:
  LeakyRelu(Variable<Scalar> x, Scalar slope) : x_(x), slope_(slope) {}

  void forward(Values<Scalar> y) override {
    const Scalar* x = x_.value().data();
    for (Index i = 0; i < y.size(); ++i) y.data()[i] = x[i] > Scalar(0) ? x[i] : slope_ * x[i];
  }

  // dx = dy where x > 0, else slope dy
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    const Scalar* x = x_.value().data();
    Scalar* dx = x_.gradient().data();
    for (Index i = 0; i < dy.size(); ++i) {
      dx[i] += x[i] > Scalar(0) ? dy.data()[i] : slope_ * dy.data()[i];
    }
  }

 private:
  Variable<Scalar> x_;
  Scalar slope_;
};

template <class Scalar>
Variable<Scalar> leaky_relu(Variable<Scalar> x, std::type_identity_t<Scalar> slope) {
  return x.tape().template apply<LeakyRelu<Scalar>>(x.rows(), x.cols(), x.needs_gradient(), x,
                                                    slope);
}

}  // namespace ecseq::autograd
