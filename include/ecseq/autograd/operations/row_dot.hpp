#pragma once

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// y_i = a_i . b_i: the scores of pairs. With b = a, squared lengths.  a, b: [n, d], y: [n, 1]
template <class Scalar>
class RowDot final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  RowDot(V a, V b) : a_(a), b_(b) {}

  void forward(Values<Scalar> y) override {
    for (Index i = 0; i < a_.rows(); ++i) {
      const Scalar *a = value_row(a_, i), *b = value_row(b_, i);
      Scalar sum = 0;
      for (Index j = 0; j < a_.cols(); ++j) sum += a[j] * b[j];
      y(i, 0) = sum;
    }
  }

  // da_i = dy_i b_i,  db_i = dy_i a_i
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    if (a_.needs_gradient()) add_weighted(a_, dy, b_);
    if (b_.needs_gradient()) add_weighted(b_, dy, a_);
  }

 private:
  static void add_weighted(const V& to, ConstValues<Scalar> dy, const V& from) {
    for (Index i = 0; i < to.rows(); ++i) {
      Scalar* gradient = gradient_row(to, i);
      const Scalar* value = value_row(from, i);
      for (Index j = 0; j < to.cols(); ++j) gradient[j] += dy(i, 0) * value[j];
    }
  }
  V a_, b_;
};

template <class Scalar>
Variable<Scalar> row_dot(Variable<Scalar> a, Variable<Scalar> b) {
  require_shape(b, a.rows(), a.cols(), "b");
  return a.tape().template apply<RowDot<Scalar>>(a.rows(), 1,
                                                 a.needs_gradient() || b.needs_gradient(), a, b);
}

}  // namespace ecseq::autograd
