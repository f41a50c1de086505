#pragma once

#include <algorithm>
#include <string>

#include "ecseq/autograd/operations/product.hpp"
#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd::inline ECSEQ_LEVEL {

/// Y_b = A_b B_b, or Y_b = A_b B_b', for the batches b stacked one over the other.
/// a: [batches n, k], b: [batches k, m] or, transposed, [batches m, k]; y: [batches n, m]
template <class Scalar>
class BatchedMatmul final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  BatchedMatmul(V a, V b, Index batches, bool transposed)
      : a_(a), b_(b), batches_(batches), transposed_(transposed) {}

  void forward(Values<Scalar> y) override {
    for (Index i = 0; i < batches_; ++i) {
      auto a = block(a_.value(), i), b = block(b_.value(), i);
      Scalar* right = b.data();
      if (transposed_) {
        right = a_.tape().scratch(b.size());
        Values<Scalar>(right, b.cols(), b.rows()) = b.transpose();
      }
      multiply_row_wise<Scalar>(a_.tape(), a, {right, a.cols(), y.cols()}, nullptr, block(y, i));
    }
  }

  // dA = dY B',  dB = A' dY;  transposed: dA = dY B,  dB = dY' A
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dy) override {
    Scalar* memory = a_.tape().scratch(std::max(a_.value().size(), b_.value().size()));
    for (Index i = 0; i < batches_; ++i) {
      const auto a = block(a_.value(), i), b = block(b_.value(), i);
      const auto d = block(dy, i);
      // Through tape memory, as in `add_product`.
      Values<Scalar> product(memory, a.rows(), a.cols());
      if (a_.needs_gradient()) {
        if (transposed_) {
          product.noalias() = d * b;
        } else {
          product.noalias() = d * b.transpose();
        }
        block(a_.gradient(), i) += product;
      }
      new (&product) Values<Scalar>(memory, b.rows(), b.cols());
      if (b_.needs_gradient()) {
        if (transposed_) {
          product.noalias() = d.transpose() * a;
        } else {
          product.noalias() = a.transpose() * d;
        }
        block(b_.gradient(), i) += product;
      }
    }
  }

 private:
  /// Matrix i of `x`, which lies in rows one after the other.
  template <class Map>
  auto block(Map x, Index i) const {
    const Index rows = x.rows() / batches_;
    return Map(x.data() + i * rows * x.cols(), rows, x.cols());
  }
  V a_, b_;
  Index batches_;
  bool transposed_;
};

namespace detail {

template <class Scalar>
Variable<Scalar> batched_matmul(Variable<Scalar> a, Variable<Scalar> b, Index batches,
                                bool transposed) {
  if (batches < 1 || a.rows() % batches != 0) {
    throw InvalidArgument("batches: expected a divisor of " + std::to_string(a.rows()) +
                          ", the rows of a, got " + std::to_string(batches));
  }
  if (transposed && b.rows() % batches != 0) {
    throw InvalidArgument("b: expected a multiple of " + std::to_string(batches) + " rows, got " +
                          std::to_string(b.rows()));
  }
  require_shape(b, transposed ? b.rows() : batches * a.cols(), transposed ? a.cols() : b.cols(),
                "b");
  return a.tape().template apply<BatchedMatmul<Scalar>>(
      a.rows(), transposed ? b.rows() / batches : b.cols(),
      a.needs_gradient() || b.needs_gradient(), a, b, batches, transposed);
}

}  // namespace detail

/// A_b B_b.  a: [batches n, k], b: [batches k, m] -> [batches n, m]
template <class Scalar>
Variable<Scalar> batched_matmul(Variable<Scalar> a, Variable<Scalar> b, Index batches) {
  return detail::batched_matmul(a, b, batches, false);
}

/// A_b B_b'; with one batch, the scores of every row of a for every row of b.
/// a: [batches n, k], b: [batches m, k] -> [batches n, m]
template <class Scalar>
Variable<Scalar> batched_matmul_transposed(Variable<Scalar> a, Variable<Scalar> b, Index batches) {
  return detail::batched_matmul(a, b, batches, true);
}

}  // namespace ecseq::autograd
