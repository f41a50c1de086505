#pragma once

#include <cmath>

#include "ecseq/autograd/operations/log_sum_exp.hpp"
#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// Sum over rows of w (logsumexp(z_i) - z_(i, c_i)): cross-entropy where each row has one class, as
/// in next-item prediction, without a table of class probabilities as large as the logits.
/// logits z: [n, C], classes c: [n] in 0 .. C-1, read again by the backward pass; result [1, 1]
template <class Scalar>
class ClassCrossEntropy final : public Operation<Scalar> {
 public:
  ClassCrossEntropy(Variable<Scalar> logits, std::span<const Index> classes, Scalar weight)
      : logits_(logits), classes_(classes), weight_(weight) {}

  // Plain loops: Eigen's order of summation depends on where a row lies in memory.
  void forward(Values<Scalar> loss) override {
    log_sums_ = logits_.tape().scratch(logits_.rows());
    double sum = 0.0;
    for (Index i = 0; i < logits_.rows(); ++i) {
      const Scalar* z = logits_.value().data() + i * logits_.cols();
      log_sums_[i] = log_sum_exp(z, logits_.cols());
      sum += static_cast<double>(log_sums_[i] - z[classes_[static_cast<std::size_t>(i)]]);
    }
    loss(0, 0) = static_cast<Scalar>(sum) * weight_;
  }

  // dz_i = dloss w (softmax(z_i) - [c = c_i])
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dloss) override {
    const Scalar factor = dloss(0, 0) * weight_;
    for (Index i = 0; i < logits_.rows(); ++i) {
      const Scalar* z = logits_.value().data() + i * logits_.cols();
      Scalar* dz = logits_.gradient().data() + i * logits_.cols();
      for (Index c = 0; c < logits_.cols(); ++c) dz[c] += factor * std::exp(z[c] - log_sums_[i]);
      dz[classes_[static_cast<std::size_t>(i)]] -= factor;
    }
  }

 private:
  Variable<Scalar> logits_;
  std::span<const Index> classes_;
  Scalar weight_;
  Scalar* log_sums_ = nullptr;  ///< [n]
};

/// weight: of every row
template <class Scalar>
Variable<Scalar> class_cross_entropy(Variable<Scalar> logits, std::span<const Index> classes,
                                     std::type_identity_t<Scalar> weight = 1) {
  require_count(classes.size(), logits.rows(), "classes");
  require_row_numbers(classes, logits.cols(), "classes");
  return logits.tape().template apply<ClassCrossEntropy<Scalar>>(1, 1, logits.needs_gradient(),
                                                                 logits, classes, weight);
}

}  // namespace ecseq::autograd
