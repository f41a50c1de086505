#pragma once

#include <algorithm>

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// y_i = x_(rows_i). A row may be taken any number of times.
/// x: [n, d], rows: [m], read again by the backward pass; y: [m, d]
template <class Scalar>
class GatherRows final : public Operation<Scalar> {
 public:
  GatherRows(Variable<Scalar> x, std::span<const Index> rows) : x_(x), rows_(rows) {}

  void forward(Values<Scalar> y) override {
    for (Index i = 0; i < y.rows(); ++i) {
      std::copy_n(value_row(x_, row(i)), y.cols(), y.data() + i * y.cols());
    }
  }

  // dx_(rows_i) += dy_i; rows that were not taken are not written
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    for (Index i = 0; i < dy.rows(); ++i) {
      const Scalar* from = dy.data() + i * dy.cols();
      Scalar* to = gradient_row(x_, row(i));
      for (Index j = 0; j < dy.cols(); ++j) to[j] += from[j];
    }
  }

 private:
  Index row(Index i) const { return rows_[static_cast<std::size_t>(i)]; }
  Variable<Scalar> x_;
  std::span<const Index> rows_;
};

/// For parameters of many rows see `embedding`, whose gradient holds only the rows taken.
template <class Scalar>
Variable<Scalar> gather_rows(Variable<Scalar> x, std::span<const Index> rows) {
  require_row_numbers(rows, x.rows(), "rows");
  return x.tape().template apply<GatherRows<Scalar>>(static_cast<Index>(rows.size()), x.cols(),
                                                     x.needs_gradient(), x, rows);
}

}  // namespace ecseq::autograd
