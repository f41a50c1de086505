#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

namespace ecseq {

using Index = std::int64_t;

/// Row-major dense matrix: one row per sequence, representative or event.
template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class Scalar>
using RowVector = Eigen::Matrix<Scalar, 1, Eigen::Dynamic>;

/// A contiguous row-major matrix owned by somebody else. Cheap to copy; unlike
/// Eigen::Map it can be reassigned, so it can be a member of a parameter struct.
template <class Scalar>
struct MatrixView {
  const Scalar* data = nullptr;
  Index rows = 0;
  Index cols = 0;

  MatrixView() = default;
  MatrixView(const Scalar* data_, Index rows_, Index cols_)
      : data(data_), rows(rows_), cols(cols_) {}
  MatrixView(const Matrix<Scalar>& matrix)  // NOLINT: views convert implicitly
      : data(matrix.data()), rows(matrix.rows()), cols(matrix.cols()) {}

  const Scalar* row(Index i) const { return data + i * cols; }
  Scalar operator()(Index i, Index j) const { return data[i * cols + j]; }
  Eigen::Map<const Matrix<Scalar>> eigen() const { return {data, rows, cols}; }
  bool empty() const { return rows == 0 || cols == 0; }
};

/// Rows of `x` in the order of `rows`.
template <class Scalar>
Matrix<Scalar> take_rows(MatrixView<Scalar> x, const std::vector<Index>& rows) {
  Matrix<Scalar> out(static_cast<Index>(rows.size()), x.cols);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out.row(static_cast<Index>(i)) = Eigen::Map<const RowVector<Scalar>>(x.row(rows[i]), x.cols);
  }
  return out;
}

}  // namespace ecseq
