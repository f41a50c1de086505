#pragma once

#include <algorithm>
#include <numeric>
#include <string>

#include "ecseq/autograd/operations/rows.hpp"
#include "ecseq/autograd/row_gradients.hpp"

namespace ecseq::autograd {

/// y_i = table_(rows_i), with a gradient that holds only the rows taken.
/// table: [n, d], rows: [m]; both are read again by the backward pass; y: [m, d]
template <class Scalar>
class Embedding final : public Operation<Scalar> {
 public:
  Embedding(Tape<Scalar>& tape, MatrixView<Scalar> table, std::span<const Index> rows,
            RowGradients<Scalar>* gradients)
      : tape_(tape), table_(table), rows_(rows), gradients_(gradients) {}

  void forward(Values<Scalar> y) override {
    for (Index i = 0; i < y.rows(); ++i) {
      std::copy_n(table_.row(row(i)), y.cols(), y.data() + i * y.cols());
    }
  }

  // dtable_r += sum of dy_i over all i with rows_i = r, in their order
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    const Index count = dy.rows(), cols = dy.cols();
    auto* order = tape_.template scratch_of<Index>(count);
    auto* used = tape_.template scratch_of<Index>(count);
    Scalar* sums = tape_.scratch(count * cols);
    std::iota(order, order + count, Index{0});
    std::sort(order, order + count,
              [&](Index a, Index b) { return row(a) != row(b) ? row(a) < row(b) : a < b; });
    Index n_used = 0;
    for (Index k = 0; k < count; ++k) {
      const Scalar* from = dy.data() + order[k] * cols;
      if (n_used == 0 || used[n_used - 1] != row(order[k])) {
        used[n_used] = row(order[k]);
        std::copy_n(from, cols, sums + n_used * cols);
        ++n_used;
        continue;
      }
      Scalar* to = sums + (n_used - 1) * cols;
      for (Index j = 0; j < cols; ++j) to[j] += from[j];
    }
    gradients_->add({used, static_cast<std::size_t>(n_used)}, sums);
  }

 private:
  Index row(Index i) const { return rows_[static_cast<std::size_t>(i)]; }
  Tape<Scalar>& tape_;
  MatrixView<Scalar> table_;
  std::span<const Index> rows_;
  RowGradients<Scalar>* gradients_;
};

/// gradients: where the table's gradient is added; null = the table is a constant
template <class Scalar>
Variable<Scalar> embedding(Tape<Scalar>& tape, std::type_identity_t<MatrixView<Scalar>> table,
                           std::span<const Index> rows,
                           std::type_identity_t<RowGradients<Scalar>>* gradients) {
  require_row_numbers(rows, table.rows, "rows");
  if (gradients && gradients->cols() != table.cols) {
    throw InvalidArgument("gradients: expected rows of " + std::to_string(table.cols) +
                          " values, got " + std::to_string(gradients->cols()));
  }
  return tape.template apply<Embedding<Scalar>>(static_cast<Index>(rows.size()), table.cols,
                                                gradients != nullptr, tape, table, rows, gradients);
}

}  // namespace ecseq::autograd
