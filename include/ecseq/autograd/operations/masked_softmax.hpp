#pragma once

#include <cmath>
#include <cstdint>

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// y_ij = m_ij exp(x_ij) / sum_k m_ik exp(x_ik); a row whose mask is all 0 gives zeros.
/// x, y: [n, d], mask m: [n, d] of 0 and 1, or empty (all 1)
template <class Scalar>
class MaskedSoftmax final : public Operation<Scalar> {
 public:
  MaskedSoftmax(Variable<Scalar> x, std::span<const std::uint8_t> mask) : x_(x), mask_(mask) {}

  // exp(x - largest of the row) cannot overflow
  void forward(Values<Scalar> y) override {
    for (Index i = 0; i < y.rows(); ++i) {
      const Scalar* x = value_row(x_, i);
      Scalar* out = y.data() + i * y.cols();
      Scalar largest = 0, sum = 0;
      bool any = false;
      for (Index j = 0; j < y.cols(); ++j) {
        if (!allowed(i, j)) continue;
        largest = !any || x[j] > largest ? x[j] : largest;
        any = true;
      }
      for (Index j = 0; j < y.cols(); ++j) {
        out[j] = allowed(i, j) ? std::exp(x[j] - largest) : Scalar(0);
        sum += out[j];
      }
      if (!any) continue;
      for (Index j = 0; j < y.cols(); ++j) out[j] /= sum;
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

}  // namespace ecseq::autograd
