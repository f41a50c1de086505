#pragma once

#include <algorithm>

#include "ecseq/autograd/tape.hpp"
#include "ecseq/kernels/product.hpp"

namespace ecseq::autograd::inline ECSEQ_LEVEL {

namespace detail {

/// out = x w + 1 b, of whole vectors of columns.  x: [n, in], w: panels of [in, lanes], bias:
/// [panels * lanes] or null; out: n rows, `stride` apart
template <class Scalar>
void multiply_panels(const Scalar* x, Index n, Index in, const kernels::RightFactor<Scalar>& w,
                     Index panels, const Scalar* bias, Scalar* out, Index stride) {
  using namespace kernels;
  constexpr Index kWidth = kLanes<Scalar>;
  product<Scalar>(
      {x, in}, w, in, {0, n, 0, panels}, [](Index, Index) { return broadcast(Scalar(0)); },
      [&](Index row, Index panel, Vec<Scalar> sum) {
        store(out + row * stride + panel * kWidth, bias ? sum + load(bias + panel * kWidth) : sum);
      });
}

}  // namespace detail

/// y = x w + 1 b, where a row's result has the same bits whatever the other rows are (Eigen's
/// depends on how many there are).  x: [n, in], w: [in, out], bias: [out] or null; y: [n, out]
template <class Scalar>
void multiply_row_wise(Tape<Scalar>& tape, Values<Scalar> x, Values<Scalar> w, const Scalar* bias,
                       Values<Scalar> y) {
  constexpr Index kWidth = kernels::kLanes<Scalar>;
  const Index n = x.rows(), in = w.rows(), out = w.cols(), whole = out / kWidth * kWidth;
  if (whole > 0) {
    detail::multiply_panels<Scalar>(x.data(), n, in, {w.data(), out, kWidth}, whole / kWidth, bias,
                                    y.data(), out);
  }
  if (whole == out) return;
  // The columns left over, as one vector padded with zeros; a few rows at a time.
  constexpr Index kRows = 48;
  const Index rest = out - whole;
  Scalar* padded = tape.scratch((in + 1 + kRows) * kWidth);
  Scalar *const padded_bias = padded + in * kWidth, *const result = padded_bias + kWidth;
  std::fill_n(padded, (in + 1) * kWidth, Scalar(0));
  for (Index k = 0; k < in; ++k) {
    std::copy_n(w.data() + k * out + whole, rest, padded + k * kWidth);
  }
  if (bias) std::copy_n(bias + whole, rest, padded_bias);
  for (Index row = 0; row < n; row += kRows) {
    const Index rows = std::min(kRows, n - row);
    detail::multiply_panels<Scalar>(x.data() + row * in, rows, in, {padded, kWidth, 0}, 1,
                                    bias ? padded_bias : nullptr, result, kWidth);
    for (Index i = 0; i < rows; ++i) {
      std::copy_n(result + i * kWidth, rest, y.data() + (row + i) * out + whole);
    }
  }
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
