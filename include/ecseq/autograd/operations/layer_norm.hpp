#pragma once

#include "ecseq/autograd/operations/rows.hpp"
#include "ecseq/kernels/layer_norm.hpp"

namespace ecseq::autograd::inline ECSEQ_LEVEL {

/// y_i = gain * z_i + bias with z_i = (x_i - mean(x_i)) / sqrt(variance(x_i) + epsilon), over the
/// columns of each row (Ba, Kiros and Hinton 2016).  x: [n, d], gain, bias: [1, d], y: [n, d]
template <class Scalar>
class LayerNorm final : public Operation<Scalar> {
 public:
  LayerNorm(Variable<Scalar> x, Variable<Scalar> gain, Variable<Scalar> bias, Scalar epsilon)
      : x_(x), gain_(gain), bias_(bias), epsilon_(epsilon) {}

  void forward(Values<Scalar> y) override {
    const Index cols = y.cols();
    normalised_ = x_.tape().scratch(y.size());
    inverse_std_ = x_.tape().scratch(y.rows());
    const Scalar *gain = value_row(gain_, 0), *bias = value_row(bias_, 0);
    for (Index i = 0; i < y.rows(); ++i) {
      Scalar *z = normalised_ + i * cols, *out = y.data() + i * cols;
      inverse_std_[i] = kernels::normalise_row(
          value_row(x_, i), cols, epsilon_, [&](Index j, Index count, V normalised) {
            kernels::store_first<Scalar>(z + j, normalised, count);
            const V shifted = kernels::fma(kernels::load_first(gain + j, count), normalised,
                                           kernels::load_first(bias + j, count));
            kernels::store_first<Scalar>(out + j, shifted, count);
          });
    }
  }

  // dx_i = (g - mean(g) - z_i mean(g z_i)) / std with g = gain dy_i,
  // dgain = sum_i dy_i z_i,  dbias = sum_i dy_i
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    const Index cols = dy.cols();
    const Scalar* gain = value_row(gain_, 0);
    Scalar* dgain = gain_.needs_gradient() ? gradient_row(gain_, 0) : nullptr;
    Scalar* dbias = bias_.needs_gradient() ? gradient_row(bias_, 0) : nullptr;
    for (Index i = 0; i < dy.rows(); ++i) {
      const Scalar *z = normalised_ + i * cols, *d = dy.data() + i * cols;
      V sum{}, sum_along{};
      kernels::for_each_vector<Scalar>(cols, [&](Index j, Index count) {
        const V d_j = kernels::load_first(d + j, count), z_j = kernels::load_first(z + j, count);
        const V g = kernels::load_first(gain + j, count) * d_j;
        sum += g;
        sum_along = kernels::fma(g, z_j, sum_along);
        if (dgain != nullptr) kernels::add_first<Scalar>(dgain + j, d_j * z_j, count);
        if (dbias != nullptr) kernels::add_first<Scalar>(dbias + j, d_j, count);
      });
      if (!x_.needs_gradient()) continue;
      const auto size = static_cast<Scalar>(cols);
      const Scalar mean = kernels::sum_of_lanes<Scalar>(sum) / size;
      const Scalar along = kernels::sum_of_lanes<Scalar>(sum_along) / size;
      Scalar* dx = gradient_row(x_, i);
      kernels::for_each_vector<Scalar>(cols, [&](Index j, Index count) {
        const V g = kernels::load_first(gain + j, count) * kernels::load_first(d + j, count);
        const V rest =
            kernels::fma(kernels::load_first(z + j, count), kernels::broadcast(-along), g - mean);
        kernels::add_first<Scalar>(dx + j, rest * inverse_std_[i], count);
      });
    }
  }

 private:
  using V = kernels::Vec<Scalar>;

  Variable<Scalar> x_, gain_, bias_;
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

}  // namespace ecseq::autograd::inline ECSEQ_LEVEL
