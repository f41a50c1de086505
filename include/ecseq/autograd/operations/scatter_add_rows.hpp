#pragma once

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// y_r = sum of x_i over all i with rows_i = r, in their order; 0 where there is none.
/// x: [m, d], rows: [m], read again by the backward pass; y: [n, d]
template <class Scalar>
class ScatterAddRows final : public Operation<Scalar> {
 public:
  ScatterAddRows(Variable<Scalar> x, std::span<const Index> rows) : x_(x), rows_(rows) {}

  void forward(Values<Scalar> y) override {
    y.setZero();
    for (Index i = 0; i < x_.rows(); ++i) {
      const Scalar* from = value_row(x_, i);
      Scalar* to = y.data() + row(i) * y.cols();
      for (Index j = 0; j < y.cols(); ++j) to[j] += from[j];
    }
  }

  // dx_i = dy_(rows_i)
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    for (Index i = 0; i < x_.rows(); ++i) {
      const Scalar* from = dy.data() + row(i) * dy.cols();
      Scalar* to = gradient_row(x_, i);
      for (Index j = 0; j < dy.cols(); ++j) to[j] += from[j];
    }
  }

 private:
  Index row(Index i) const { return rows_[static_cast<std::size_t>(i)]; }
  Variable<Scalar> x_;
  std::span<const Index> rows_;
};

/// n_rows: the rows of the result
template <class Scalar>
Variable<Scalar> scatter_add_rows(Variable<Scalar> x, std::span<const Index> rows, Index n_rows) {
  require_count(rows.size(), x.rows(), "rows");
  require_row_numbers(rows, n_rows, "rows");
  return x.tape().template apply<ScatterAddRows<Scalar>>(n_rows, x.cols(), x.needs_gradient(), x,
                                                         rows);
}

}  // namespace ecseq::autograd
