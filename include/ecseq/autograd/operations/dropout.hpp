#pragma once

#include <string>

#include "ecseq/autograd/tape.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"

namespace ecseq::autograd {

/// y = x * mask, where mask is 0 with probability `rate`, else 1 / (1 - rate), so that E[y] = x.
/// x, mask: [n, d]
template <class Scalar>
class Dropout final : public Operation<Scalar> {
 public:
  Dropout(Variable<Scalar> x, Values<Scalar> mask) : x_(x), mask_(mask) {}

  void forward(Values<Scalar> y) override { y = x_.value().cwiseProduct(mask_); }

  // dx = dy * mask
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    x_.gradient() += dy.cwiseProduct(mask_);
  }

 private:
  Variable<Scalar> x_;
  Values<Scalar> mask_;
};

/// Inverted dropout; the identity at rate 0. rate: in [0, 1)
template <class Scalar>
Variable<Scalar> dropout(Variable<Scalar> x, double rate, Rng& rng) {
  if (!(rate >= 0.0 && rate < 1.0)) {
    throw InvalidArgument("rate: expected a number in [0, 1), got " + std::to_string(rate));
  }
  if (rate == 0.0) return x;
  const Index count = x.rows() * x.cols();
  Scalar* mask = x.tape().scratch(count);
  const auto kept = static_cast<Scalar>(1.0 / (1.0 - rate));
  for (Index i = 0; i < count; ++i) mask[i] = rng.uniform() < rate ? Scalar(0) : kept;
  return x.tape().template apply<Dropout<Scalar>>(x.rows(), x.cols(), x.needs_gradient(), x,
                                                  Values<Scalar>(mask, x.rows(), x.cols()));
}

}  // namespace ecseq::autograd
