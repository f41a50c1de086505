#pragma once

#include <string>
#include <type_traits>

#include "ecseq/autograd/tape.hpp"
#include "ecseq/core/error.hpp"

namespace ecseq::autograd {

inline std::string shape_text(Index rows, Index cols) {
  return "[" + std::to_string(rows).append(", ").append(std::to_string(cols)).append("]");
}

/// Throws InvalidArgument unless `x` is [rows, cols]; `name` is the argument's name.
template <class X>
void require_shape(const X& x, Index rows, Index cols, const char* name) {
  Index got_rows = 0, got_cols = 0;
  if constexpr (requires { x.rows(); }) {
    got_rows = x.rows();
    got_cols = x.cols();
  } else {
    got_rows = x.rows;
    got_cols = x.cols;
  }
  if (got_rows == rows && got_cols == cols) return;
  throw InvalidArgument(std::string(name) + ": expected shape " + shape_text(rows, cols) +
                        ", got " + shape_text(got_rows, got_cols));
}

}  // namespace ecseq::autograd
