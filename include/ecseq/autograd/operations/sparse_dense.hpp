#pragma once

#include "ecseq/autograd/operations/segments.hpp"

namespace ecseq::autograd {

/// Where a sparse matrix [n, m] may be non-zero, by rows (CSR): row i has the columns
/// columns[offsets[i]] .. columns[offsets[i + 1] - 1]. Owns nothing.
struct SparsePattern {
  std::span<const Index> offsets;  ///< [n + 1]
  std::span<const Index> columns;  ///< [entries], each below m; a column may be repeated
};

/// y_i = sum over the entries e of row i of values_e x_(columns_e): propagation along the edges of
/// a graph, constant (normalised adjacency) or learnt (attention weights).
/// values: [entries, 1], x: [m, d], y: [n, d]. The pattern is read again by the backward pass.
template <class Scalar>
class SparseDense final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  SparseDense(Segments rows, std::span<const Index> columns, V values, V x)
      : rows_(rows), columns_(columns), values_(values), x_(x) {}

  void forward(Values<Scalar> y) override {
    y.setZero();
    for (Index i = 0; i < rows_.size(); ++i) {
      Scalar* out = y.data() + i * y.cols();
      for (Index e = rows_.begin(i); e < rows_.end(i); ++e) {
        const Scalar value = *value_row(values_, e);
        const Scalar* x = value_row(x_, column(e));
        for (Index j = 0; j < y.cols(); ++j) out[j] += value * x[j];
      }
    }
  }

  // dx_(columns_e) += values_e dy_i,  dvalues_e = dy_i . x_(columns_e)
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    for (Index i = 0; i < rows_.size(); ++i) {
      const Scalar* d = dy.data() + i * dy.cols();
      for (Index e = rows_.begin(i); e < rows_.end(i); ++e) {
        if (x_.needs_gradient()) {
          const Scalar value = *value_row(values_, e);
          Scalar* dx = gradient_row(x_, column(e));
          for (Index j = 0; j < dy.cols(); ++j) dx[j] += value * d[j];
        }
        if (values_.needs_gradient()) {
          const Scalar* x = value_row(x_, column(e));
          Scalar sum = 0;
          for (Index j = 0; j < dy.cols(); ++j) sum += d[j] * x[j];
          *gradient_row(values_, e) += sum;
        }
      }
    }
  }

 private:
  Index column(Index e) const { return columns_[static_cast<std::size_t>(e)]; }
  Segments rows_;
  std::span<const Index> columns_;
  V values_, x_;
};

/// values: a constant or with gradient, [entries, 1]
template <class Scalar>
Variable<Scalar> sparse_dense(const SparsePattern& pattern, Variable<Scalar> values,
                              Variable<Scalar> x) {
  const auto entries = static_cast<Index>(pattern.columns.size());
  const Segments rows = require_segments(pattern.offsets, entries, "pattern.offsets");
  require_row_numbers(pattern.columns, x.rows(), "pattern.columns");
  require_shape(values, entries, 1, "values");
  return x.tape().template apply<SparseDense<Scalar>>(rows.size(), x.cols(),
                                                      x.needs_gradient() || values.needs_gradient(),
                                                      rows, pattern.columns, values, x);
}

}  // namespace ecseq::autograd
