#pragma once

#include <algorithm>
#include <cmath>

#include "ecseq/autograd/operations/segments.hpp"

namespace ecseq::autograd {

/// y_ij = exp(x_ij) / sum over the rows k of i's segment of exp(x_kj): attention weights over the
/// neighbours or events of each segment, one head per column.
/// x, y: [n, d], segments: [s], read again by the backward pass
template <class Scalar>
class SegmentSoftmax final : public Operation<Scalar> {
 public:
  SegmentSoftmax(Variable<Scalar> x, Segments segments) : x_(x), segments_(segments) {}

  // exp(x - largest of the segment) cannot overflow
  void forward(Values<Scalar> y) override {
    const Index cols = y.cols();
    Scalar* largest = x_.tape().scratch(cols);
    Scalar* sum = x_.tape().scratch(cols);
    for (Index s = 0; s < segments_.size(); ++s) {
      if (segments_.length(s) == 0) continue;
      std::copy_n(value_row(x_, segments_.begin(s)), cols, largest);
      std::fill_n(sum, cols, Scalar(0));
      for (Index i = segments_.begin(s); i < segments_.end(s); ++i) {
        const Scalar* x = value_row(x_, i);
        for (Index j = 0; j < cols; ++j) largest[j] = x[j] > largest[j] ? x[j] : largest[j];
      }
      for (Index i = segments_.begin(s); i < segments_.end(s); ++i) {
        const Scalar* x = value_row(x_, i);
        Scalar* out = y.data() + i * cols;
        for (Index j = 0; j < cols; ++j) sum[j] += out[j] = std::exp(x[j] - largest[j]);
      }
      for (Index i = segments_.begin(s); i < segments_.end(s); ++i) {
        Scalar* out = y.data() + i * cols;
        for (Index j = 0; j < cols; ++j) out[j] /= sum[j];
      }
    }
  }

  // dx_ij = y_ij (dy_ij - sum over the segment of dy_kj y_kj)
  void backward(ConstValues<Scalar> y, ConstValues<Scalar> dy) override {
    const Index cols = y.cols();
    Scalar* sum = x_.tape().scratch(cols);
    for (Index s = 0; s < segments_.size(); ++s) {
      std::fill_n(sum, cols, Scalar(0));
      for (Index i = segments_.begin(s); i < segments_.end(s); ++i) {
        for (Index j = 0; j < cols; ++j) sum[j] += dy(i, j) * y(i, j);
      }
      for (Index i = segments_.begin(s); i < segments_.end(s); ++i) {
        Scalar* dx = gradient_row(x_, i);
        for (Index j = 0; j < cols; ++j) dx[j] += y(i, j) * (dy(i, j) - sum[j]);
      }
    }
  }

 private:
  Variable<Scalar> x_;
  Segments segments_;
};

/// offsets: [segments + 1], from 0 to n, not decreasing
template <class Scalar>
Variable<Scalar> segment_softmax(Variable<Scalar> x, std::span<const Index> offsets) {
  const Segments segments = require_segments(offsets, x.rows(), "offsets");
  return x.tape().template apply<SegmentSoftmax<Scalar>>(x.rows(), x.cols(), x.needs_gradient(), x,
                                                         segments);
}

}  // namespace ecseq::autograd
