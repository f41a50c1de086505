#pragma once

#include <algorithm>
#include <cmath>

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// Contrastive loss of two views a_i, b_i of the same things (NT-Xent; Chen et al. 2020). Over the
/// 2n rows z of both, with p(k) the row that is the other view of row k:
///   sum_k w_k / 2 * -log(exp(s_kp) / sum of exp(s_kj) over j = p(k) and all j of other groups),
///   s_kj = z_k . z_j / temperature
/// Rows of one group, e.g. one user's, are never each other's negatives. For cosines, normalise the
/// rows first. Takes memory for kBlock rows of similarities at a time.
/// a, b: [n, d], groups: [n] or empty (all differ), weights w: [n] or null (all 1), both read again
/// by the backward pass; result [1, 1]
template <class Scalar>
class NtXent final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  NtXent(V a, V b, Scalar temperature, std::span<const Index> groups, const Scalar* weights)
      : a_(a), b_(b), temperature_(temperature), groups_(groups), weights_(weights) {}

  // log sum exp(s) = m + log sum exp(s - m) with m = max s: exp cannot overflow
  void forward(Values<Scalar> loss) override {
    const Index rows = 2 * a_.rows(), cols = a_.cols();
    auto& tape = a_.tape();
    z_ = tape.scratch(rows * cols);
    std::copy_n(a_.value().data(), a_.value().size(), z_);
    std::copy_n(b_.value().data(), b_.value().size(), z_ + a_.value().size());
    block_ = tape.scratch(std::min(kBlock, rows) * rows);
    log_sums_ = tape.scratch(rows);
    double sum = 0.0;
    for (Index first = 0; first < rows; first += kBlock) {
      const Values<Scalar> s = similarities(first);
      for (Index k = first; k < first + s.rows(); ++k) {
        const Scalar* row = s.data() + (k - first) * rows;
        Scalar largest = row[other_view(k)], total = 0;
        for (Index j = 0; j < rows; ++j) {
          if (counts(k, j) && row[j] > largest) largest = row[j];
        }
        for (Index j = 0; j < rows; ++j) {
          if (counts(k, j)) total += std::exp(row[j] - largest);
        }
        log_sums_[k] = largest + std::log(total);
        sum += static_cast<double>(weight(k) * (log_sums_[k] - row[other_view(k)]));
      }
    }
    loss(0, 0) = static_cast<Scalar>(sum);
  }

  // With g_kj = w_k / 2 (exp(s_kj - log sum_k) - [j = p(k)]), 0 where j does not count:
  //   dz_k = dloss (sum_j g_kj z_j + sum_j g_jk z_j) / temperature
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dloss) override {
    const Index rows = 2 * a_.rows(), cols = a_.cols();
    auto& tape = a_.tape();
    Values<Scalar> dz(tape.scratch(rows * cols), rows, cols);
    Values<Scalar> product(tape.scratch(rows * cols), rows, cols);
    dz.setZero();
    const Values<Scalar> z(z_, rows, cols);
    for (Index first = 0; first < rows; first += kBlock) {
      Values<Scalar> g = similarities(first);
      for (Index k = first; k < first + g.rows(); ++k) {
        Scalar* row = g.data() + (k - first) * rows;
        const Scalar factor = dloss(0, 0) * weight(k) / temperature_;
        for (Index j = 0; j < rows; ++j) {
          const Scalar p = counts(k, j) ? std::exp(row[j] - log_sums_[k]) : Scalar(0);
          row[j] = factor * (j == other_view(k) ? p - Scalar(1) : p);
        }
      }
      Values<Scalar> own(product.data(), g.rows(), cols);
      own.noalias() = g * z;
      dz.middleRows(first, g.rows()) += own;
      product.noalias() = g.transpose() * z.middleRows(first, g.rows());
      dz += product;
    }
    if (a_.needs_gradient()) a_.gradient() += dz.topRows(a_.rows());
    if (b_.needs_gradient()) b_.gradient() += dz.bottomRows(b_.rows());
  }

 private:
  static constexpr Index kBlock = 64;

  /// s of the rows from `first`: [up to kBlock, 2n]
  Values<Scalar> similarities(Index first) const {
    const Index rows = 2 * a_.rows();
    const Values<Scalar> z(z_, rows, a_.cols());
    Values<Scalar> s(block_, std::min(kBlock, rows - first), rows);
    s.noalias() = z.middleRows(first, s.rows()) * z.transpose();
    s /= temperature_;
    return s;
  }
  Index pair(Index k) const { return k < a_.rows() ? k : k - a_.rows(); }
  Index other_view(Index k) const { return k < a_.rows() ? k + a_.rows() : k - a_.rows(); }
  Index group(Index k) const {
    return groups_.empty() ? pair(k) : groups_[static_cast<std::size_t>(pair(k))];
  }
  bool counts(Index k, Index j) const { return j == other_view(k) || group(j) != group(k); }
  Scalar weight(Index k) const { return Scalar(0.5) * (weights_ ? weights_[pair(k)] : Scalar(1)); }

  V a_, b_;
  Scalar temperature_;
  std::span<const Index> groups_;
  const Scalar* weights_;
  Scalar* z_ = nullptr;         ///< [2n, d]
  Scalar* block_ = nullptr;     ///< [kBlock, 2n]
  Scalar* log_sums_ = nullptr;  ///< [2n]
};

template <class Scalar>
Variable<Scalar> nt_xent(Variable<Scalar> a, Variable<Scalar> b, double temperature,
                         std::span<const Index> groups,
                         const std::type_identity_t<Scalar>* weights) {
  require_shape(b, a.rows(), a.cols(), "b");
  require_positive(temperature, "temperature");
  if (!groups.empty()) require_count(groups.size(), a.rows(), "groups");
  return a.tape().template apply<NtXent<Scalar>>(1, 1, a.needs_gradient() || b.needs_gradient(), a,
                                                 b, static_cast<Scalar>(temperature), groups,
                                                 weights);
}

}  // namespace ecseq::autograd
