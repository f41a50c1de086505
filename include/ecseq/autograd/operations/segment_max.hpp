#pragma once

#include "ecseq/autograd/operations/segments.hpp"

namespace ecseq::autograd {

/// y_sj = the largest x_ij of the rows i of segment s, NaN if one is NaN; 0 for an empty segment.
/// x: [n, d], segments: [s]; y: [s, d]
template <class Scalar>
class SegmentMax final : public Operation<Scalar> {
 public:
  SegmentMax(Variable<Scalar> x, Segments segments) : x_(x), segments_(segments) {}

  void forward(Values<Scalar> y) override {
    y.setZero();
    winners_ = x_.tape().template scratch_of<Index>(y.size());
    for (Index s = 0; s < segments_.size(); ++s) {
      Scalar* best = y.data() + s * y.cols();
      Index* winner = winners_ + s * y.cols();
      for (Index i = segments_.begin(s); i < segments_.end(s); ++i) {
        const Scalar* x = value_row(x_, i);
        for (Index j = 0; j < y.cols(); ++j) {
          const bool is_nan = x[j] != x[j];
          if (i > segments_.begin(s) && !(x[j] > best[j]) && !is_nan) continue;
          best[j] = x[j];
          winner[j] = i;
        }
      }
    }
  }

  // dx_ij = dy_sj for the first row i that holds the maximum
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    for (Index s = 0; s < segments_.size(); ++s) {
      if (segments_.length(s) == 0) continue;
      for (Index j = 0; j < dy.cols(); ++j) {
        gradient_row(x_, winners_[s * dy.cols() + j])[j] += dy(s, j);
      }
    }
  }

 private:
  Variable<Scalar> x_;
  Segments segments_;
  Index* winners_ = nullptr;  ///< [s, d]
};

/// offsets: [segments + 1], from 0 to n, not decreasing
template <class Scalar>
Variable<Scalar> segment_max(Variable<Scalar> x, std::span<const Index> offsets) {
  const Segments segments = require_segments(offsets, x.rows(), "offsets");
  return x.tape().template apply<SegmentMax<Scalar>>(segments.size(), x.cols(), x.needs_gradient(),
                                                     x, segments);
}

}  // namespace ecseq::autograd
