#pragma once

#include "ecseq/autograd/tape.hpp"

namespace ecseq::autograd {

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
