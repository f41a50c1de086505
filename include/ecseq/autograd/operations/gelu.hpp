#pragma once

#include "ecseq/autograd/tape.hpp"
#include "ecseq/kernels/gelu.hpp"
#include "ecseq/kernels/partial_vec.hpp"

namespace ecseq::autograd::inline ECSEQ_LEVEL {

/// y = x Phi(x), Phi(x) = (1 + erf(x / sqrt(2))) / 2, element by element (Hendrycks and Gimpel
/// 2016, the exact form).  x: [n, d]
template <class Scalar>
class Gelu final : public Operation<Scalar> {
 public:
  explicit Gelu(Variable<Scalar> x) : x_(x) {}

  void forward(Values<Scalar> y) override {
    const Scalar* x = x_.value().data();
    kernels::for_each_vector<Scalar>(y.size(), [&](Index i, Index count) {
      const auto v = kernels::load_first(x + i, count);
      kernels::store_first<Scalar>(y.data() + i, kernels::gelu<Scalar>(v), count);
    });
  }

  // dx = dy (Phi(x) + x phi(x)),  phi(x) = exp(-x^2 / 2) / sqrt(2 pi)
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    const Scalar* x = x_.value().data();
    Scalar* dx = x_.gradient().data();
    kernels::for_each_vector<Scalar>(dy.size(), [&](Index i, Index count) {
      const auto slope = kernels::gelu_slope<Scalar>(kernels::load_first(x + i, count));
      kernels::add_first<Scalar>(dx + i, kernels::load_first(dy.data() + i, count) * slope, count);
    });
  }

 private:
  Variable<Scalar> x_;
};

template <class Scalar>
Variable<Scalar> gelu(Variable<Scalar> x) {
  return x.tape().template apply<Gelu<Scalar>>(x.rows(), x.cols(), x.needs_gradient(), x);
}

}  // namespace ecseq::autograd::inline ECSEQ_LEVEL
