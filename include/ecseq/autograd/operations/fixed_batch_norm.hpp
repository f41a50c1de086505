#pragma once

#include <cmath>

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// Batch normalisation with statistics that are given, as after training:
/// y_i = gain * z_i + bias with z_i = (x_i - mean) / sqrt(variance + epsilon).
/// x: [n, d], gain, bias: [1, d], mean, variance: [1, d], read again by the backward pass; y: [n,
/// d]
template <class Scalar>
class FixedBatchNorm final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  FixedBatchNorm(V x, V gain, V bias, MatrixView<Scalar> mean, MatrixView<Scalar> variance,
                 Scalar epsilon)
      : x_(x), gain_(gain), bias_(bias), mean_(mean), variance_(variance), epsilon_(epsilon) {}

  void forward(Values<Scalar> y) override {
    inverse_std_ = x_.tape().scratch(y.cols());
    for (Index j = 0; j < y.cols(); ++j) {
      inverse_std_[j] = Scalar(1) / std::sqrt(variance_(0, j) + epsilon_);
    }
    const Scalar *gain = value_row(gain_, 0), *bias = value_row(bias_, 0);
    for (Index i = 0; i < y.rows(); ++i) {
      for (Index j = 0; j < y.cols(); ++j) y(i, j) = gain[j] * normalised(i, j) + bias[j];
    }
  }

  // dx_i = gain dy_i / std,  dgain = sum_i dy_i z_i,  dbias = sum_i dy_i
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    const Scalar* gain = value_row(gain_, 0);
    for (Index i = 0; i < dy.rows(); ++i) {
      for (Index j = 0; j < dy.cols(); ++j) {
        if (x_.needs_gradient()) gradient_row(x_, i)[j] += gain[j] * inverse_std_[j] * dy(i, j);
        if (gain_.needs_gradient()) gradient_row(gain_, 0)[j] += dy(i, j) * normalised(i, j);
        if (bias_.needs_gradient()) gradient_row(bias_, 0)[j] += dy(i, j);
      }
    }
  }

 private:
  Scalar normalised(Index i, Index j) const {
    return (value_row(x_, i)[j] - mean_(0, j)) * inverse_std_[j];
  }
  V x_, gain_, bias_;
  MatrixView<Scalar> mean_, variance_;
  Scalar epsilon_;
  Scalar* inverse_std_ = nullptr;  ///< [d]
};

template <class Scalar>
Variable<Scalar> fixed_batch_norm(Variable<Scalar> x, Variable<Scalar> gain, Variable<Scalar> bias,
                                  std::type_identity_t<MatrixView<Scalar>> mean,
                                  std::type_identity_t<MatrixView<Scalar>> variance,
                                  double epsilon) {
  require_shape(gain, 1, x.cols(), "gain");
  require_shape(bias, 1, x.cols(), "bias");
  require_shape(mean, 1, x.cols(), "mean");
  require_shape(variance, 1, x.cols(), "variance");
  require_positive(epsilon, "epsilon");
  return x.tape().template apply<FixedBatchNorm<Scalar>>(
      x.rows(), x.cols(), x.needs_gradient() || gain.needs_gradient() || bias.needs_gradient(), x,
      gain, bias, mean, variance, static_cast<Scalar>(epsilon));
}

}  // namespace ecseq::autograd
