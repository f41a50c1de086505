#pragma once

#include <span>
#include <vector>

#include "ecseq/autograd/operations.hpp"

namespace ecseq::gnn {

// Columns of several heads side by side: head h has the columns [h d, (h + 1) d).

/// y_ih = sum over the columns of head h of x_i a_h.  x: [n, heads d], a: [heads, d];
/// y: [n, heads]
template <class Scalar>
autograd::Variable<Scalar> score_heads(autograd::Variable<Scalar> x, autograd::Variable<Scalar> a) {
  const Index heads = a.rows(), d = a.cols();
  std::vector<autograd::Variable<Scalar>> scores;
  for (Index h = 0; h < heads; ++h) {
    scores.push_back(autograd::batched_matmul_transposed(autograd::slice_columns(x, h * d, d),
                                                         autograd::slice_rows(a, h, 1), 1));
  }
  return autograd::concat_columns(std::span<const autograd::Variable<Scalar>>(scores));
}

/// y_ih = a_i . b_i over the columns of head h.  a, b: [n, heads d]; y: [n, heads]
template <class Scalar>
autograd::Variable<Scalar> dot_heads(autograd::Variable<Scalar> a, autograd::Variable<Scalar> b,
                                     Index heads) {
  const Index d = a.cols() / heads;
  std::vector<autograd::Variable<Scalar>> dots;
  for (Index h = 0; h < heads; ++h) {
    dots.push_back(autograd::row_dot(autograd::slice_columns(a, h * d, d),
                                     autograd::slice_columns(b, h * d, d)));
  }
  return autograd::concat_columns(std::span<const autograd::Variable<Scalar>>(dots));
}

/// The rows of each segment summed, head h weighted by column h.
/// x: [n, heads d], weights: [n, heads], offsets: [segments + 1]; y: [segments, heads d]
template <class Scalar>
autograd::Variable<Scalar> sum_heads(autograd::Variable<Scalar> x,
                                     autograd::Variable<Scalar> weights,
                                     std::span<const Index> offsets) {
  const Index heads = weights.cols(), d = x.cols() / heads;
  std::vector<autograd::Variable<Scalar>> sums;
  for (Index h = 0; h < heads; ++h) {
    sums.push_back(
        autograd::segment_sum(autograd::multiply_rows(autograd::slice_columns(x, h * d, d),
                                                      autograd::slice_columns(weights, h, 1)),
                              offsets));
  }
  return autograd::concat_columns(std::span<const autograd::Variable<Scalar>>(sums));
}

/// x + 1 b.  x: [n, d], bias: [1, d]
template <class Scalar>
autograd::Variable<Scalar> add_bias(autograd::Variable<Scalar> x, autograd::Variable<Scalar> bias) {
  const auto ones = x.tape().constant(x.rows(), 1);
  ones.value().setOnes();
  return autograd::add(x, autograd::matmul(ones, bias));
}

/// The target of each edge, [edges], in memory of the tape.
template <class Scalar>
std::span<const Index> targets_of(autograd::Tape<Scalar>& tape, std::span<const Index> offsets) {
  Index* const target = tape.template scratch_of<Index>(offsets.back());
  for (std::size_t t = 0; t + 1 < offsets.size(); ++t) {
    for (Index e = offsets[t]; e < offsets[t + 1]; ++e) target[e] = static_cast<Index>(t);
  }
  return {target, static_cast<std::size_t>(offsets.back())};
}

}  // namespace ecseq::gnn
