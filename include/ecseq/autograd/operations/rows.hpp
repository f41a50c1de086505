#pragma once

#include <span>
#include <string>

#include "ecseq/autograd/operations/shapes.hpp"

namespace ecseq::autograd {

/// Row i of a matrix on the tape. Operations sum in plain loops over rows: Eigen's order of
/// summation depends on where a row lies in memory.
template <class Scalar>
Scalar* value_row(const Variable<Scalar>& x, Index i) {
  return x.value().data() + i * x.cols();
}
template <class Scalar>
Scalar* gradient_row(const Variable<Scalar>& x, Index i) {
  return x.gradient().data() + i * x.cols();
}

/// Throws InvalidArgument unless `numbers` holds row numbers of a matrix of `rows` rows.
inline void require_row_numbers(std::span<const Index> numbers, Index rows, const char* name) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] >= 0 && numbers[i] < rows) continue;
    throw InvalidArgument(std::string(name) + "[" + std::to_string(i) +
                          "]: expected a row number below " + std::to_string(rows) + ", got " +
                          std::to_string(numbers[i]));
  }
}

/// Throws InvalidArgument unless `got` values came where `expected` are needed.
inline void require_count(std::size_t got, Index expected, const char* name) {
  if (static_cast<Index>(got) == expected) return;
  throw InvalidArgument(std::string(name) + ": expected " + std::to_string(expected) +
                        " values, got " + std::to_string(got));
}

/// Throws InvalidArgument unless `value` is positive and finite.
inline void require_positive(double value, const char* name) {
  if (value > 0.0 && value * 0.0 == 0.0) return;
  throw InvalidArgument(std::string(name) + ": expected a positive number, got " +
                        std::to_string(value));
}

}  // namespace ecseq::autograd
