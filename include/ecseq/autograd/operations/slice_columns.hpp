#pragma once

#include <string>

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// y = columns [begin, begin + count) of x.  x: [n, d], y: [n, count]
template <class Scalar>
class SliceColumns final : public Operation<Scalar> {
 public:
  SliceColumns(Variable<Scalar> x, Index begin) : x_(x), begin_(begin) {}

  void forward(Values<Scalar> y) override { y = x_.value().middleCols(begin_, y.cols()); }

  // dx = dy in these columns
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    x_.gradient().middleCols(begin_, dy.cols()) += dy;
  }

 private:
  Variable<Scalar> x_;
  Index begin_;
};

template <class Scalar>
Variable<Scalar> slice_columns(Variable<Scalar> x, Index begin, Index count) {
  if (begin < 0 || count < 0 || begin > x.cols() - count) {
    throw InvalidArgument("begin, count: expected a range within " + std::to_string(x.cols()) +
                          " columns, got begin " + std::to_string(begin) + ", count " +
                          std::to_string(count));
  }
  return x.tape().template apply<SliceColumns<Scalar>>(x.rows(), count, x.needs_gradient(), x,
                                                       begin);
}

}  // namespace ecseq::autograd
