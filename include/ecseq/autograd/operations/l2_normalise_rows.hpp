#pragma once

#include <cmath>

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// y_i = x_i / max(|x_i|, smallest), with |.| the Euclidean norm.  x, y: [n, d]
template <class Scalar>
class L2NormaliseRows final : public Operation<Scalar> {
 public:
  L2NormaliseRows(Variable<Scalar> x, Scalar smallest) : x_(x), smallest_(smallest) {}

  void forward(Values<Scalar> y) override {
    norms_ = x_.tape().scratch(y.rows());
    for (Index i = 0; i < y.rows(); ++i) {
      const Scalar* x = value_row(x_, i);
      Scalar* out = y.data() + i * y.cols();
      Scalar squares = 0;
      for (Index j = 0; j < y.cols(); ++j) squares += x[j] * x[j];
      norms_[i] = std::sqrt(squares);
      for (Index j = 0; j < y.cols(); ++j) out[j] = x[j] / divisor(i);
    }
  }

  // dx_i = (dy_i - y_i (y_i . dy_i)) / |x_i|, and dy_i / smallest where |x_i| is below it
  void backward(ConstValues<Scalar> y, ConstValues<Scalar> dy) override {
    for (Index i = 0; i < y.rows(); ++i) {
      Scalar* dx = gradient_row(x_, i);
      Scalar along = 0;
      for (Index j = 0; j < y.cols(); ++j) along += y(i, j) * dy(i, j);
      if (norms_[i] < smallest_) along = 0;
      for (Index j = 0; j < y.cols(); ++j) dx[j] += (dy(i, j) - y(i, j) * along) / divisor(i);
    }
  }

 private:
  // Not std::max: a NaN has to stay one.
  Scalar divisor(Index i) const { return norms_[i] < smallest_ ? smallest_ : norms_[i]; }
  Variable<Scalar> x_;
  Scalar smallest_;
  Scalar* norms_ = nullptr;  ///< [n]
};

template <class Scalar>
Variable<Scalar> l2_normalise_rows(Variable<Scalar> x, double smallest = 1e-12) {
  require_positive(smallest, "smallest");
  return x.tape().template apply<L2NormaliseRows<Scalar>>(x.rows(), x.cols(), x.needs_gradient(), x,
                                                          static_cast<Scalar>(smallest));
}

}  // namespace ecseq::autograd
