#pragma once

#include <algorithm>

#include "ecseq/kernels/product.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// The weights and bias of x W + b as `product` reads them fastest: panels of one vector of output
/// columns, [panels][in][lanes]. Columns that only fill the last vector have weight and bias 0.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// weight: [in, out]; bias: [out]; the result has at least `columns` columns, the rest zeros.
  PackedMatrix(MatrixView<float> weight, const float* bias, Index columns = 0)
      : in_(weight.rows), out_(weight.cols) {
    constexpr Index kWidth = kLanes<float>;
    panels_ = round_up<float>(std::max(out_, columns)) / kWidth;
    weight_ = Eigen::ArrayXf::Zero(panels_ * in_ * kWidth);
    bias_ = Eigen::ArrayXf::Zero(panels_ * kWidth);
    std::copy_n(bias, out_, bias_.data());
    for (Index k = 0; k < in_; ++k) {
      for (Index j = 0; j < out_; ++j) {
        weight_[(j / kWidth * in_ + k) * kWidth + j % kWidth] = weight(k, j);
      }
    }
  }

  Index in() const { return in_; }
  Index out() const { return out_; }
  Index panels() const { return panels_; }
  /// Columns of the result, with padding.
  Index padded() const { return panels_ * kLanes<float>; }
  /// W from row `first` on.
  RightFactor<float> right(Index first = 0) const {
    return {weight_.data() + first * kLanes<float>, kLanes<float>, in_ * kLanes<float>};
  }
  Vec<float> bias(Index panel) const { return load(bias_.data() + panel * kLanes<float>); }

 private:
  Index in_ = 0;
  Index out_ = 0;
  Index panels_ = 0;
  Eigen::ArrayXf weight_;
  Eigen::ArrayXf bias_;
};

/// y = x W + b.  x: [rows, in], rows x_stride apart; y: [rows, w.padded()], rows y_stride apart,
/// padding written too
inline void project(const PackedMatrix& w, const float* x, Index x_stride, Index rows, float* y,
                    Index y_stride) {
  product<float>(
      {x, x_stride}, w.right(), w.in(), {0, rows, 0, w.panels()},
      [&](Index, Index panel) ECSEQ_LAMBDA_INLINE { return w.bias(panel); },
      [&](Index row, Index panel, Vec<float> sum)
          ECSEQ_LAMBDA_INLINE { store(y + row * y_stride + panel * kLanes<float>, sum); });
}

namespace detail {

template <int Panels>
ECSEQ_INLINE void project_row_panels(const PackedMatrix& w, Index panel, const float* x, float* y) {
  constexpr int kChains = 4;
  constexpr Index kWidth = kLanes<float>;
  const RightFactor<float> right = w.right();
  const float* const weight = right.data + panel * right.panel_stride;
  Vec<float> sum[kChains][Panels];
#pragma GCC unroll 4
  for (int c = 0; c < kChains; ++c) {
#pragma GCC unroll 2
    for (int p = 0; p < Panels; ++p) sum[c][p] = c == 0 ? w.bias(panel + p) : broadcast(0.0F);
  }
  const auto add = [&](int c, Index k) ECSEQ_LAMBDA_INLINE {
    const Vec<float> value = broadcast(x[k]);
#pragma GCC unroll 2
    for (int p = 0; p < Panels; ++p) {
      sum[c][p] =
          fma(load(weight + p * right.panel_stride + k * right.depth_stride), value, sum[c][p]);
    }
  };
  Index k = 0;
  for (; k + kChains <= w.in(); k += kChains) {
#pragma GCC unroll 4
    for (int c = 0; c < kChains; ++c) add(c, k + c);
  }
  for (; k < w.in(); ++k) add(0, k);
#pragma GCC unroll 2
  for (int p = 0; p < Panels; ++p) {
    store(y + (panel + p) * kWidth, (sum[0][p] + sum[1][p]) + (sum[2][p] + sum[3][p]));
  }
}

}  // namespace detail

/// y = x W + b of one row alone: four sums for each column, so that a multiply-add does not wait
/// for the one before. Rounds otherwise than `project`.  x: [in]; y: [w.padded()]
inline void project_row(const PackedMatrix& w, const float* x, float* y) {
  Index panel = 0;
  for (; panel + 2 <= w.panels(); panel += 2) detail::project_row_panels<2>(w, panel, x, y);
  if (panel < w.panels()) detail::project_row_panels<1>(w, panel, x, y);
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
