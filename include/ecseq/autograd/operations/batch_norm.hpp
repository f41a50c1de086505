#pragma once

#include <cmath>
#include <string>

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// Mean and variance (divided by n) of each column: what batch normalisation divides by.
template <class Scalar>
struct ColumnStatistics {
  Scalar* mean = nullptr;      ///< [d]
  Scalar* variance = nullptr;  ///< [d]
};

/// y_i = gain * z_i + bias with z_i = (x_i - mean) / sqrt(variance + epsilon), mean and variance
/// over the rows of each column of x (Ioffe and Szegedy 2015).
/// x: [n, d], gain, bias: [1, d], y: [n, d]
template <class Scalar>
class BatchNorm final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  BatchNorm(V x, V gain, V bias, Scalar epsilon, const ColumnStatistics<Scalar>& statistics)
      : x_(x), gain_(gain), bias_(bias), epsilon_(epsilon), statistics_(statistics) {}

  void forward(Values<Scalar> y) override {
    const Index rows = y.rows(), cols = y.cols();
    normalised_ = x_.tape().scratch(y.size());
    inverse_std_ = x_.tape().scratch(cols);
    auto* mean = zeros(cols);
    auto* variance = zeros(cols);
    for (Index i = 0; i < rows; ++i) {
      const Scalar* x = value_row(x_, i);
      for (Index j = 0; j < cols; ++j) mean[j] += static_cast<double>(x[j]);
    }
    for (Index j = 0; j < cols; ++j) mean[j] /= static_cast<double>(rows);
    for (Index i = 0; i < rows; ++i) {
      const Scalar* x = value_row(x_, i);
      for (Index j = 0; j < cols; ++j) {
        const double difference = static_cast<double>(x[j]) - mean[j];
        variance[j] += difference * difference;
      }
    }
    for (Index j = 0; j < cols; ++j) {
      variance[j] /= static_cast<double>(rows);
      inverse_std_[j] =
          static_cast<Scalar>(1.0 / std::sqrt(variance[j] + static_cast<double>(epsilon_)));
      if (statistics_.mean) statistics_.mean[j] = static_cast<Scalar>(mean[j]);
      if (statistics_.variance) statistics_.variance[j] = static_cast<Scalar>(variance[j]);
    }
    const Scalar *gain = value_row(gain_, 0), *bias = value_row(bias_, 0);
    for (Index i = 0; i < rows; ++i) {
      const Scalar* x = value_row(x_, i);
      Scalar* z = normalised_ + i * cols;
      for (Index j = 0; j < cols; ++j) {
        z[j] = (x[j] - static_cast<Scalar>(mean[j])) * inverse_std_[j];
        y(i, j) = gain[j] * z[j] + bias[j];
      }
    }
  }

  // dx_i = gain (dy_i - mean(dy) - z_i mean(dy z)) / std,  dgain = sum_i dy_i z_i,
  // dbias = sum_i dy_i
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    const Index rows = dy.rows(), cols = dy.cols();
    double* sum = zeros(cols);
    double* along = zeros(cols);
    for (Index i = 0; i < rows; ++i) {
      const Scalar* z = normalised_ + i * cols;
      for (Index j = 0; j < cols; ++j) {
        sum[j] += static_cast<double>(dy(i, j));
        along[j] += static_cast<double>(dy(i, j) * z[j]);
      }
    }
    if (x_.needs_gradient()) {
      const Scalar* gain = value_row(gain_, 0);
      const double share = 1.0 / static_cast<double>(rows);
      for (Index i = 0; i < rows; ++i) {
        const Scalar* z = normalised_ + i * cols;
        Scalar* dx = gradient_row(x_, i);
        for (Index j = 0; j < cols; ++j) {
          dx[j] += gain[j] * inverse_std_[j] *
                   (dy(i, j) - static_cast<Scalar>(sum[j] * share) -
                    z[j] * static_cast<Scalar>(along[j] * share));
        }
      }
    }
    for (Index j = 0; j < cols; ++j) {
      if (gain_.needs_gradient()) gradient_row(gain_, 0)[j] += static_cast<Scalar>(along[j]);
      if (bias_.needs_gradient()) gradient_row(bias_, 0)[j] += static_cast<Scalar>(sum[j]);
    }
  }

 private:
  double* zeros(Index count) const {
    auto* out = x_.tape().template scratch_of<double>(count);
    for (Index j = 0; j < count; ++j) out[j] = 0.0;
    return out;
  }
  V x_, gain_, bias_;
  Scalar epsilon_;
  ColumnStatistics<Scalar> statistics_;
  Scalar* normalised_ = nullptr;   ///< z: [n, d]
  Scalar* inverse_std_ = nullptr;  ///< [d]
};

/// For training: normalises with the statistics of x, one shard of a batch, and writes them to
/// `statistics` (members may be null). Shards run on several threads: `update_running` takes theirs
/// one after the other, in order.
template <class Scalar>
Variable<Scalar> batch_norm(Variable<Scalar> x, Variable<Scalar> gain, Variable<Scalar> bias,
                            double epsilon, const ColumnStatistics<Scalar>& statistics) {
  if (x.rows() < 1) throw InvalidArgument("x: expected at least one row, got none");
  require_shape(gain, 1, x.cols(), "gain");
  require_shape(bias, 1, x.cols(), "bias");
  require_positive(epsilon, "epsilon");
  return x.tape().template apply<BatchNorm<Scalar>>(
      x.rows(), x.cols(), x.needs_gradient() || gain.needs_gradient() || bias.needs_gradient(), x,
      gain, bias, static_cast<Scalar>(epsilon), statistics);
}

/// running = (1 - momentum) running + momentum batch, the variance of the batch's `rows` rows
/// corrected by rows / (rows - 1). d: columns
template <class Scalar>
void update_running(const ColumnStatistics<Scalar>& running, const ColumnStatistics<Scalar>& batch,
                    Index rows, Index d, double momentum) {
  if (!(momentum >= 0.0 && momentum <= 1.0)) {
    throw InvalidArgument("momentum: expected a number in [0, 1], got " + std::to_string(momentum));
  }
  const auto weight = static_cast<Scalar>(momentum);
  const Scalar correction =
      rows > 1 ? static_cast<Scalar>(rows) / static_cast<Scalar>(rows - 1) : Scalar(1);
  for (Index j = 0; j < d; ++j) {
    running.mean[j] += weight * (batch.mean[j] - running.mean[j]);
    running.variance[j] += weight * (correction * batch.variance[j] - running.variance[j]);
  }
}

}  // namespace ecseq::autograd
