#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq::autograd {

/// The gradient of a matrix of which a step used few rows, such as an embedding table: the numbers
/// of these rows, ascending, and one row of values for each. Takes memory and time for the rows
/// used, not for the matrix.
///
/// For training: one of these per table and shard, beside the flat gradient; `add` the shards' in
/// order. Then either `add_to` the flat gradient at the table's offset, for an optimiser that
/// visits every parameter, or let the optimiser visit these rows only: the norm for clipping and a
/// step of SGD need nothing else, and Adam needs each row's last step, to decay the row's moments
/// by beta^(steps missed) before it uses them.
///
/// Memory is kept from step to step: after the first few, nothing is allocated.
template <class Scalar>
class RowGradients {
 public:
  /// cols: of the matrix
  explicit RowGradients(Index cols) : cols_(cols) {}

  Index cols() const { return cols_; }
  /// Rows used, strictly ascending.
  std::span<const Index> rows() const { return rows_; }
  /// The gradient of row rows()[i]: [cols]
  const Scalar* values(Index i) const { return values_.data() + i * cols_; }
  Scalar* values(Index i) { return values_.data() + i * cols_; }

  /// Adds values[i] to the gradient of rows[i].
  /// rows: strictly ascending; values: [size of rows, cols]; neither is memory of this object.
  void add(std::span<const Index> rows, const Scalar* values) {
    merged_rows_.resize(rows_.size() + rows.size());
    merged_values_.resize(merged_rows_.size() * static_cast<std::size_t>(cols_));
    std::size_t mine = 0, theirs = 0, count = 0;
    for (; mine < rows_.size() || theirs < rows.size(); ++count) {
      const bool take_mine =
          theirs == rows.size() || (mine < rows_.size() && rows_[mine] <= rows[theirs]);
      const bool take_theirs =
          mine == rows_.size() || (theirs < rows.size() && rows[theirs] <= rows_[mine]);
      Scalar* to = merged_values_.data() + count * static_cast<std::size_t>(cols_);
      merged_rows_[count] = take_mine ? rows_[mine] : rows[theirs];
      std::fill_n(to, cols_, Scalar(0));
      if (take_mine) accumulate(values_.data(), mine++, to);
      if (take_theirs) accumulate(values, theirs++, to);
    }
    merged_rows_.resize(count);
    merged_values_.resize(count * static_cast<std::size_t>(cols_));
    rows_.swap(merged_rows_);
    values_.swap(merged_values_);
  }
  void add(const RowGradients& other) { add(other.rows_, other.values_.data()); }

  /// Adds to a dense gradient, [any number of rows, cols]; only the rows used are written.
  void add_to(Scalar* gradient) const {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      accumulate(values_.data(), i, gradient + rows_[i] * cols_);
    }
  }

  void clear() {
    rows_.clear();
    values_.clear();
  }

 private:
  void accumulate(const Scalar* values, std::size_t row, Scalar* to) const {
    const Scalar* from = values + static_cast<Index>(row) * cols_;
    for (Index j = 0; j < cols_; ++j) to[j] += from[j];
  }

  Index cols_;
  std::vector<Index> rows_, merged_rows_;
  std::vector<Scalar> values_, merged_values_;
};

}  // namespace ecseq::autograd
