#pragma once

#include <cmath>

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// y_i = gain * z_i + bias with z_i = (x_i - mean(x_i)) / sqrt(variance(x_i) + epsilon), over the
/// columns of each row (Ba, Kiros and Hinton 2016).  x: [n, d], gain, bias: [1, d], y: [n, d]
template <class Scalar>
class LayerNorm final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  LayerNorm(V x, V gain, V bias, Scalar epsilon)
      : x_(x), gain_(gain), bias_(bias), epsilon_(epsilon) {}

  void forward(Values<Scalar> y) override {
    const Index cols = y.cols();
    normalised_ = x_.tape().scratch(y.size());
    inverse_std_ = x_.tape().scratch(y.rows());
    const Scalar *gain = value_row(gain_, 0), *bias = value_row(bias_, 0);
    for (Index i = 0; i < y.rows(); ++i) {
      const Scalar* x = value_row(x_, i);
      Scalar mean = 0, squares = 0;
      for (Index j = 0; j < cols; ++j) mean += x[j];
      mean /= static_cast<Scalar>(cols);
      for (Index j = 0; j < cols; ++j) squares += (x[j] - mean) * (x[j] - mean);
      inverse_std_[i] = Scalar(1) / std::sqrt(squares / static_cast<Scalar>(cols) + epsilon_);
      Scalar* z = normalised_ + i * cols;
      for (Index j = 0; j < cols; ++j) {
        z[j] = (x[j] - mean) * inverse_std_[i];
        y(i, j) = gain[j] * z[j] + bias[j];
      }
    }
  }

  // dx_i = (g - mean(g) - z_i mean(g z_i)) / std with g = gain dy_i,
  // dgain = sum_i dy_i z_i,  dbias = sum_i dy_i
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    const Index cols = dy.cols();
    const Scalar* gain = value_row(gain_, 0);
    for (Index i = 0; i < dy.rows(); ++i) {
      const Scalar* z = normalised_ + i * cols;
      if (x_.needs_gradient()) {
        Scalar* dx = gradient_row(x_, i);
        Scalar mean = 0, along = 0;
        for (Index j = 0; j < cols; ++j) {
          mean += gain[j] * dy(i, j);
          along += gain[j] * dy(i, j) * z[j];
        }
        mean /= static_cast<Scalar>(cols);
        along /= static_cast<Scalar>(cols);
        for (Index j = 0; j < cols; ++j) {
          dx[j] += inverse_std_[i] * (gain[j] * dy(i, j) - mean - z[j] * along);
        }
      }
      if (gain_.needs_gradient()) {
        Scalar* dgain = gradient_row(gain_, 0);
        for (Index j = 0; j < cols; ++j) dgain[j] += dy(i, j) * z[j];
      }
      if (bias_.needs_gradient()) {
        Scalar* dbias = gradient_row(bias_, 0);
        for (Index j = 0; j < cols; ++j) dbias[j] += dy(i, j);
      }
    }
  }

 private:
  V x_, gain_, bias_;
  Scalar epsilon_;
  Scalar* normalised_ = nullptr;   ///< z: [n, d]
  Scalar* inverse_std_ = nullptr;  ///< [n]
};

template <class Scalar>
Variable<Scalar> layer_norm(Variable<Scalar> x, Variable<Scalar> gain, Variable<Scalar> bias,
                            double epsilon = 1e-5) {
  require_shape(gain, 1, x.cols(), "gain");
  require_shape(bias, 1, x.cols(), "bias");
  require_positive(epsilon, "epsilon");
  return x.tape().template apply<LayerNorm<Scalar>>(
      x.rows(), x.cols(), x.needs_gradient() || gain.needs_gradient() || bias.needs_gradient(), x,
      gain, bias, static_cast<Scalar>(epsilon));
}

}  // namespace ecseq::autograd
