#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "ecseq/core/matrix.hpp"

namespace ecseq {

/// A matrix of floats that many may hold and nobody writes: its numbers are its own, or a part of
/// something larger, such as a mapped file, that lives as long as any of its holders. A copy
/// refers to the same numbers. Converts from any matrix of floats, whose numbers it copies or, of
/// a Matrix that is given up, takes over.
class SharedMatrix {
 public:
  SharedMatrix() = default;
  SharedMatrix(Matrix<float> numbers)  // NOLINT: converts implicitly
      : rows_(numbers.rows()), cols_(numbers.cols()) {
    const auto held = std::make_shared<const Matrix<float>>(std::move(numbers));
    data_ = {held, held->data()};
  }
  template <class Derived>
  SharedMatrix(const Eigen::MatrixBase<Derived>& numbers)  // NOLINT: converts implicitly
      : SharedMatrix(Matrix<float>(numbers)) {}
  /// data: [rows, cols], row by row, with whatever keeps it alive.
  SharedMatrix(std::shared_ptr<const float> data, Index rows, Index cols)
      : data_(std::move(data)), rows_(rows), cols_(cols) {}

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index size() const { return rows_ * cols_; }
  const float* data() const { return data_.get(); }
  const std::shared_ptr<const float>& owner() const { return data_; }
  float operator()(Index i, Index j) const { return data()[i * cols_ + j]; }
  Eigen::Map<const Matrix<float>> eigen() const { return {data(), rows_, cols_}; }
  operator MatrixView<float>() const { return {data(), rows_, cols_}; }  // NOLINT
  /// The same numbers in the same shape.
  friend bool operator==(const SharedMatrix& a, const SharedMatrix& b) {
    return a.rows_ == b.rows_ && a.cols_ == b.cols_ &&
           std::equal(a.data(), a.data() + a.size(), b.data());
  }

 private:
  std::shared_ptr<const float> data_;
  Index rows_ = 0;
  Index cols_ = 0;
};

}  // namespace ecseq
