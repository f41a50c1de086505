#pragma once

#include <string>

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// y = rows [begin, begin + count) of x.  x: [n, d], y: [count, d]
template <class Scalar>
class SliceRows final : public Operation<Scalar> {
 public:
  SliceRows(Variable<Scalar> x, Index begin) : x_(x), begin_(begin) {}

  void forward(Values<Scalar> y) override { y = x_.value().middleRows(begin_, y.rows()); }

  // dx = dy in these rows
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    x_.gradient().middleRows(begin_, dy.rows()) += dy;
  }

 private:
  Variable<Scalar> x_;
  Index begin_;
};

template <class Scalar>
Variable<Scalar> slice_rows(Variable<Scalar> x, Index begin, Index count) {
  if (begin < 0 || count < 0 || begin > x.rows() - count) {
    throw InvalidArgument("begin, count: expected a range within " + std::to_string(x.rows()) +
                          " rows, got begin " + std::to_string(begin) + ", count " +
                          std::to_string(count));
  }
  return x.tape().template apply<SliceRows<Scalar>>(count, x.cols(), x.needs_gradient(), x, begin);
}

}  // namespace ecseq::autograd
