#pragma once

#include "ecseq/autograd/operations/segments.hpp"

namespace ecseq::autograd {

/// y_s = mean of the n_s rows of segment s; 0 for an empty one.
/// x: [n, d], segments: [s], read again by the backward pass; y: [s, d]
template <class Scalar>
class SegmentMean final : public Operation<Scalar> {
 public:
  SegmentMean(Variable<Scalar> x, Segments segments) : x_(x), segments_(segments) {}

  void forward(Values<Scalar> y) override {
    y.setZero();
    for (Index s = 0; s < segments_.size(); ++s) {
      if (segments_.length(s) == 0) continue;
      Scalar* mean = y.data() + s * y.cols();
      for (Index i = segments_.begin(s); i < segments_.end(s); ++i) {
        const Scalar* x = value_row(x_, i);
        for (Index j = 0; j < y.cols(); ++j) mean[j] += x[j];
      }
      for (Index j = 0; j < y.cols(); ++j) mean[j] *= factor(s);
    }
  }

  // dx_i = dy_s / n_s for every row i of segment s
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    for (Index s = 0; s < segments_.size(); ++s) {
      const Scalar* d = dy.data() + s * dy.cols();
      for (Index i = segments_.begin(s); i < segments_.end(s); ++i) {
        Scalar* dx = gradient_row(x_, i);
        for (Index j = 0; j < dy.cols(); ++j) dx[j] += factor(s) * d[j];
      }
    }
  }

 private:
  Scalar factor(Index s) const { return Scalar(1) / static_cast<Scalar>(segments_.length(s)); }
  Variable<Scalar> x_;
  Segments segments_;
};

/// offsets: [segments + 1], from 0 to n, not decreasing
template <class Scalar>
Variable<Scalar> segment_mean(Variable<Scalar> x, std::span<const Index> offsets) {
  const Segments segments = require_segments(offsets, x.rows(), "offsets");
  return x.tape().template apply<SegmentMean<Scalar>>(segments.size(), x.cols(), x.needs_gradient(),
                                                      x, segments);
}

}  // namespace ecseq::autograd
