#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "ecseq/autograd/operations/rows.hpp"
#include "ecseq/kernels/softmax.hpp"

namespace ecseq::autograd::inline ECSEQ_LEVEL {

/// y_ij = m_ij exp(x_ij) / sum_k m_ik exp(x_ik); a row whose mask is all 0 gives zeros.
/// x, y: [n, d], mask m: [n, d] of 0 and 1, or empty (all 1)
template <class Scalar>
class MaskedSoftmax final : public Operation<Scalar> {
 public:
  MaskedSoftmax(Variable<Scalar> x, std::span<const std::uint8_t> mask) : x_(x), mask_(mask) {}

  // exp(x - largest of the row) cannot overflow
  void forward(Values<Scalar> y) override {
    constexpr Scalar kForbidden = -std::numeric_limits<Scalar>::infinity();
    const Index cols = y.cols();
    Scalar* row = x_.tape().scratch(kernels::round_up<Scalar>(cols));
    for (Index i = 0; i < y.rows(); ++i) {
      const Scalar* x = value_row(x_, i);
      bool any = false;
      for (Index j = 0; j < cols; ++j) {
        row[j] = allowed(i, j) ? x[j] : kForbidden;
        any |= allowed(i, j);
      }
      Scalar* out = y.data() + i * cols;
      if (!any) {
        std::fill_n(out, cols, Scalar(0));
        continue;
      }
      const Scalar largest = kernels::largest_of(row, cols);
      const Scalar sum = kernels::exponentials(row, cols, largest, Scalar(1));
      for (Index j = 0; j < cols; ++j) out[j] = row[j] / sum;
    }
  }

  // dx_ij = y_ij (dy_ij - sum_k dy_ik y_ik)
  void backward(ConstValues<Scalar> y, ConstValues<Scalar> dy) override {
    for (Index i = 0; i < y.rows(); ++i) {
      Scalar* dx = gradient_row(x_, i);
      Scalar sum = 0;
      for (Index j = 0; j < y.cols(); ++j) sum += dy(i, j) * y(i, j);
      for (Index j = 0; j < y.cols(); ++j) dx[j] += y(i, j) * (dy(i, j) - sum);
    }
  }

 private:
  bool allowed(Index i, Index j) const {
    return mask_.empty() || mask_[static_cast<std::size_t>(i * x_.cols() + j)] != 0;
  }
  Variable<Scalar> x_;
  std::span<const std::uint8_t> mask_;
};

template <class Scalar>
Variable<Scalar> masked_softmax(Variable<Scalar> x, std::span<const std::uint8_t> mask) {
  if (!mask.empty()) require_count(mask.size(), x.rows() * x.cols(), "mask");
  return x.tape().template apply<MaskedSoftmax<Scalar>>(x.rows(), x.cols(), x.needs_gradient(), x,
                                                        mask);
}

template <class Scalar>
Variable<Scalar> softmax(Variable<Scalar> x) {
  return masked_softmax(x, std::span<const std::uint8_t>());
}

}  // namespace ecseq::autograd::inline ECSEQ_LEVEL
