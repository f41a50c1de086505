#pragma once

#include <cmath>

#include "ecseq/autograd/operations/log_sum_exp.hpp"
#include "ecseq/autograd/operations/shapes.hpp"

namespace ecseq::autograd {

/// Sum over rows of w_i * sum_c t_ic (logsumexp(z_i) - z_ic).
/// logits z: [n, C], targets t: [n, C] class probabilities, weights w: [n] or null (all 1);
/// result [1, 1]. Targets and weights are read again by the backward pass.
template <class Scalar>
class CrossEntropy final : public Operation<Scalar> {
 public:
  CrossEntropy(Variable<Scalar> logits, MatrixView<Scalar> targets, const Scalar* weights)
      : logits_(logits), targets_(targets), weights_(weights) {}

  // Plain loops: Eigen's order of summation depends on where a row lies in memory.
  void forward(Values<Scalar> loss) override {
    double sum = 0.0;
    for (Index i = 0; i < logits_.rows(); ++i) {
      const Scalar* z = logits_.value().data() + i * logits_.cols();
      const Scalar log_sum = log_sum_exp(z, logits_.cols());
      Scalar row = 0;
      for (Index c = 0; c < logits_.cols(); ++c) row += targets_(i, c) * (log_sum - z[c]);
      sum += static_cast<double>(weight(i) * row);
    }
    loss(0, 0) = static_cast<Scalar>(sum);
  }

  // dz_i = dloss w_i (softmax(z_i) sum_c t_ic - t_i)
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dloss) override {
    for (Index i = 0; i < logits_.rows(); ++i) {
      const Scalar* z = logits_.value().data() + i * logits_.cols();
      Scalar* dz = logits_.gradient().data() + i * logits_.cols();
      const Scalar log_sum = log_sum_exp(z, logits_.cols());
      const Scalar factor = dloss(0, 0) * weight(i);
      Scalar mass = 0;
      for (Index c = 0; c < logits_.cols(); ++c) mass += targets_(i, c);
      for (Index c = 0; c < logits_.cols(); ++c) {
        dz[c] += factor * (std::exp(z[c] - log_sum) * mass - targets_(i, c));
      }
    }
  }

 private:
  Scalar weight(Index i) const { return weights_ ? weights_[i] : Scalar(1); }
  Variable<Scalar> logits_;
  MatrixView<Scalar> targets_;
  const Scalar* weights_;
};

template <class Scalar>
Variable<Scalar> cross_entropy(Variable<Scalar> logits,
                               std::type_identity_t<MatrixView<Scalar>> targets,
                               const std::type_identity_t<Scalar>* weights) {
  require_shape(targets, logits.rows(), logits.cols(), "targets");
  return logits.tape().template apply<CrossEntropy<Scalar>>(1, 1, logits.needs_gradient(), logits,
                                                            targets, weights);
}

}  // namespace ecseq::autograd
