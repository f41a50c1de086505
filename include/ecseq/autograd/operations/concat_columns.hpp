#pragma once

#include <initializer_list>
#include <memory>
#include <span>

#include "ecseq/autograd/operations/shapes.hpp"

namespace ecseq::autograd {

/// y = [x_1, x_2, ...].  x_i: [n, d_i], y: [n, sum of d_i]
template <class Scalar>
class ConcatColumns final : public Operation<Scalar> {
 public:
  explicit ConcatColumns(std::span<const Variable<Scalar>> parts) : parts_(parts) {}

  void forward(Values<Scalar> y) override {
    Index column = 0;
    for (const auto& x : parts_) {
      y.middleCols(column, x.cols()) = x.value();
      column += x.cols();
    }
  }

  // dx_i = the columns of dy that x_i fills
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    Index column = 0;
    for (const auto& x : parts_) {
      if (x.needs_gradient()) x.gradient() += dy.middleCols(column, x.cols());
      column += x.cols();
    }
  }

 private:
  std::span<const Variable<Scalar>> parts_;
};

template <class Scalar>
Variable<Scalar> concat_columns(std::span<const Variable<Scalar>> parts) {
  if (parts.empty()) throw InvalidArgument("parts: expected at least one matrix, got none");
  auto& tape = parts[0].tape();
  const auto count = static_cast<Index>(parts.size());
  auto* kept = tape.template scratch_of<Variable<Scalar>>(count);
  std::uninitialized_copy(parts.begin(), parts.end(), kept);
  Index cols = 0;
  bool needs_gradient = false;
  for (const auto& x : parts) {
    require_shape(x, parts[0].rows(), x.cols(), "parts");
    cols += x.cols();
    needs_gradient = needs_gradient || x.needs_gradient();
  }
  return tape.template apply<ConcatColumns<Scalar>>(
      parts[0].rows(), cols, needs_gradient, std::span<const Variable<Scalar>>(kept, parts.size()));
}

template <class Scalar>
Variable<Scalar> concat_columns(std::initializer_list<Variable<Scalar>> parts) {
  return concat_columns(std::span<const Variable<Scalar>>(parts.begin(), parts.size()));
}

}  // namespace ecseq::autograd
