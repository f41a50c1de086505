#pragma once

#include <algorithm>

#include "ecseq/autograd/tape.hpp"
#include "ecseq/kernels/product.hpp"

namespace ecseq::autograd::inline ECSEQ_LEVEL {

/// y = x w + 1 b, where a row's result has the same bits whatever the other rows are (Eigen's
/// depends on how many there are).  x: [n, in], w: [in, out], bias: [out] or null; y: [n, out]
template <class Scalar>
void multiply_row_wise(Tape<Scalar>& tape, Values<Scalar> x, Values<Scalar> w, const Scalar* bias,
                       Values<Scalar> y) {
  using namespace kernels;
  constexpr Index kWidth = kLanes<Scalar>;
  const Index in = w.rows(), out = w.cols(), whole = out / kWidth * kWidth;
  const auto multiply = [&](const RightFactor<Scalar>& right, Index panels, Index first,
                            const auto& finish) {
    product<Scalar>(
        {x.data(), in}, right, in, {0, x.rows(), 0, panels},
        [&](Index, Index) { return broadcast(Scalar(0)); },
        [&](Index row, Index panel, Vec<Scalar> sum) {
          finish(y.data() + row * out + first + panel * kWidth,
                 bias ? bias + first + panel * kWidth : nullptr, sum);
        });
  };
  if (whole > 0) {
    multiply(
        {w.data(), out, kWidth}, whole / kWidth, 0,
        [](Scalar* to, const Scalar* b, Vec<Scalar> sum) { store(to, b ? sum + load(b) : sum); });
  }
  if (whole == out) return;
  // The columns left over, as one vector padded with zeros.
  const Index rest = out - whole;
  Scalar* padded = tape.scratch(in * kWidth);
  std::fill_n(padded, in * kWidth, Scalar(0));
  for (Index k = 0; k < in; ++k) {
    std::copy_n(w.data() + k * out + whole, rest, padded + k * kWidth);
  }
  multiply({padded, kWidth, 0}, 1, whole, [&](Scalar* to, const Scalar* b, Vec<Scalar> sum) {
    alignas(kVectorBytes) Scalar values[kWidth];
    store(values, sum);
    for (Index j = 0; j < rest; ++j) to[j] = b ? values[j] + b[j] : values[j];
  });
}

/// gradient += a b, through tape memory: Eigen sums small products in an order that depends on
/// where the result lies in memory, and a parameter's gradient lies anywhere. Tape memory is
/// aligned, so the same step gives the same bits in every run.
template <class Scalar, class A, class B>
void add_product(const Variable<Scalar>& x, const A& a, const B& b) {
  Values<Scalar> product(x.tape().scratch(x.rows() * x.cols()), x.rows(), x.cols());
  product.noalias() = a * b;
  x.gradient() += product;
}

/// gradient += 1' a, row after row whatever the alignment.  a: [n, d], x: [1, d]
template <class Scalar>
void add_column_sums(const Variable<Scalar>& x, ConstValues<Scalar> a) {
  Scalar* gradient = x.gradient().data();
  for (Index i = 0; i < a.rows(); ++i) {
    const Scalar* row = a.data() + i * a.cols();
    for (Index j = 0; j < a.cols(); ++j) gradient[j] += row[j];
  }
}

}  // namespace ecseq::autograd
