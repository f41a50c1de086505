#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "ecseq/core/matrix.hpp"
#include "ecseq/kernels/vec.hpp"

namespace ecseq::nn {

/// (x - mean) / std per column, clipped to +-bound: one wild value at prediction cannot leave the
/// range the network was trained on.
struct Scaler {
  RowVector<float> mean;
  RowVector<float> inverse_std;
  float bound = 8.0f;

  /// x: [n, d], n >= 1. Constant columns scale to 0. Sums in double, in row order.
  static Scaler fit(MatrixView<float> x) {
    Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(x.cols), square = sum;
    for (Index i = 0; i < x.rows; ++i) {
      sum += x.eigen().row(i).cast<double>();
    }
    sum /= static_cast<double>(x.rows);
    for (Index i = 0; i < x.rows; ++i) {
      square += (x.eigen().row(i).cast<double>() - sum).array().square().matrix();
    }
    Scaler scaler;
    scaler.mean = sum.cast<float>();
    scaler.inverse_std.resize(x.cols);
    for (Index j = 0; j < x.cols; ++j) {
      const double std = std::sqrt(square[j] / static_cast<double>(x.rows));
      // A spread that float cannot tell from the mean's rounding is a constant column.
      const bool constant = std <= 1e-6 * std::max(1e-30, std::abs(sum[j]));
      scaler.inverse_std[j] = constant ? 0.0f : static_cast<float>(1.0 / std);
    }
    return scaler;
  }

  /// Leaves every value as it is.
  static Scaler identity(Index d) {
    return {RowVector<float>::Zero(d), RowVector<float>::Ones(d),
            std::numeric_limits<float>::infinity()};
  }

  Index size() const { return mean.size(); }

  /// out: [d]
  void apply(const float* x, float* out) const {
    constexpr Index kWidth = kernels::kLanes<float>;
    const auto most = kernels::broadcast(bound);
    Index j = 0;
    for (; j + kWidth <= mean.size(); j += kWidth) {
      const auto scaled = (kernels::load(x + j) - kernels::load(mean.data() + j)) *
                          kernels::load(inverse_std.data() + j);
      kernels::store(out + j, kernels::min(most, kernels::max(-most, scaled)));
    }
    for (; j < mean.size(); ++j) {
      out[j] = std::clamp((x[j] - mean[j]) * inverse_std[j], -bound, bound);
    }
  }
  Matrix<float> apply(MatrixView<float> x) const {
    Matrix<float> out(x.rows, x.cols);
    for (Index i = 0; i < x.rows; ++i) apply(x.row(i), out.row(i).data());
    return out;
  }
};

}  // namespace ecseq::nn
