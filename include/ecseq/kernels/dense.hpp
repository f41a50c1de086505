#pragma once

#include <algorithm>
#include <limits>

#include "ecseq/core/matrix.hpp"
#include "ecseq/kernels/vec.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// Weights of y = x W + b, packed in panels of one vector of output columns so that a register
/// tile reads them in order: panels[p][k][lane] = W(k, p * lanes + lane). Each element of y is
/// b + sum over k in order, one fused multiply-add at a time, in every tile shape: a row's result
/// has the same bits whatever else is in the batch.
class PackedDense {
 public:
  PackedDense() = default;
  /// weight: [in, out]; bias: [out] or null (zeros). Padding columns get `padding` as bias.
  PackedDense(MatrixView<float> weight, const float* bias, float padding = 0.0f)
      : in_(weight.rows), out_(weight.cols) {
    allocate();
    for (Index j = 0; j < padded(); ++j) {
      bias_[j] = j < out_ ? (bias ? bias[j] : 0.0f) : padding;
      for (Index k = 0; k < in_; ++k) at(k, j) = j < out_ ? weight(k, j) : 0.0f;
    }
  }

  Index in() const { return in_; }
  Index out() const { return out_; }
  Index panels() const { return panels_; }
  /// Output columns with padding: whole tiles of panels.
  Index padded() const { return panels_ * kLanes<float>; }
  const float* panel(Index p) const { return weight_.data() + p * in_ * kLanes<float>; }
  const float* bias(Index p) const { return bias_.data() + p * kLanes<float>; }

  /// Panels per register tile.
  static constexpr int kTilePanels = 4;
  /// Rows per register tile: accumulators, panels and a broadcast fit the registers.
  static constexpr int kTileRows = kRegisters == 32 ? 6 : 2;

 private:
  void allocate() {
    const Index whole = (out_ + kLanes<float> - 1) / kLanes<float>;
    panels_ = (whole + kTilePanels - 1) / kTilePanels * kTilePanels;
    weight_ = Eigen::ArrayXf::Zero(panels_ * in_ * kLanes<float>);
    bias_ = Eigen::ArrayXf::Zero(padded());
  }
  float& at(Index k, Index j) {
    return weight_[((j / kLanes<float>)*in_ + k) * kLanes<float> + j % kLanes<float>];
  }

  Index in_ = 0;
  Index out_ = 0;
  Index panels_ = 0;
  Eigen::ArrayXf weight_;
  Eigen::ArrayXf bias_;
};

/// acc[v][n] = bias + x[n] . W for panels p .. p + kTilePanels and `Rows` rows.
template <int Rows>
ECSEQ_INLINE void dense_tile(const PackedDense& dense, Index p, const float* x, Index stride,
                             Vec<float> (&acc)[PackedDense::kTilePanels][Rows]) {
  constexpr int kPanels = PackedDense::kTilePanels;
  const Index in = dense.in();
  const float* weight = dense.panel(p);
#pragma GCC unroll 4
  for (int v = 0; v < kPanels; ++v) {
#pragma GCC unroll 8
    for (int n = 0; n < Rows; ++n) acc[v][n] = load(dense.bias(p + v));
  }
  for (Index k = 0; k < in; ++k) {
    Vec<float> w[kPanels];
#pragma GCC unroll 4
    for (int v = 0; v < kPanels; ++v) w[v] = load(weight + (v * in + k) * kLanes<float>);
#pragma GCC unroll 8
    for (int n = 0; n < Rows; ++n) {
      const Vec<float> value = broadcast(x[n * stride + k]);
#pragma GCC unroll 4
      for (int v = 0; v < kPanels; ++v) acc[v][n] = fma(w[v], value, acc[v][n]);
    }
  }
}

/// y = x W + b. x: [rows, in], row i at x + i * stride; y: [rows, padded()], padding written too.
inline void multiply(const PackedDense& dense, const float* x, Index stride, Index rows, float* y) {
  constexpr int kPanels = PackedDense::kTilePanels, kRows = PackedDense::kTileRows;
  const auto tile = [&]<int Rows>(Index p, Index first) {
    Vec<float> acc[kPanels][Rows];
    dense_tile<Rows>(dense, p, x + first * stride, stride, acc);
    for (int n = 0; n < Rows; ++n) {
      for (int v = 0; v < kPanels; ++v) {
        store(y + (first + n) * dense.padded() + (p + v) * kLanes<float>, acc[v][n]);
      }
    }
  };
  // All rows against a few panels at a time: those stay in the first-level cache.
  for (Index p = 0; p < dense.panels(); p += kPanels) {
    Index i = 0;
    const auto run = [&]<int Rows>() {
      for (; i + Rows <= rows; i += Rows) tile.template operator()<Rows>(p, i);
    };
    run.template operator()<kRows>();
    if constexpr (kRows > 4) run.template operator()<4>();
    if constexpr (kRows > 2) run.template operator()<2>();
    run.template operator()<1>();
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
