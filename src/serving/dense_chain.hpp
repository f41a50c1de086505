#pragma once

#include <vector>

#include "ecseq/core/arena.hpp"
#include "ecseq/kernels/packed_matrix.hpp"
#include "ecseq/nn/activation.hpp"

namespace ecseq::serving {

/// y = x W + b, as numbers to fold before they are packed.
struct Affine {
  Matrix<float> weight;   ///< [in, out]
  RowVector<float> bias;  ///< [out]

  Index in() const { return weight.rows(); }
  Index out() const { return weight.cols(); }
  /// `next` after this one. Sums in double.
  Affine then(const Affine& next) const {
    const Eigen::MatrixXd right = next.weight.cast<double>();
    return {(weight.cast<double>() * right).cast<float>(),
            (bias.cast<double>() * right + next.bias.cast<double>()).cast<float>()};
  }
};

/// Dense layers for one row, an activation after each but the last. Without an activation they are
/// one layer.
class DenseChain {
 public:
  DenseChain(const std::vector<Affine>& layers, nn::Activation activation);

  Index out() const { return layers_.back().out(); }
  /// x: [in]; out: [out]
  void apply(const float* x, float* out, Arena& memory) const;

 private:
  std::vector<kernels::PackedMatrix> layers_;
  nn::Activation activation_ = nn::Activation::kNone;
};

/// The layers as one; only sensible without an activation between them.
Affine composed(const std::vector<Affine>& layers);

/// x = act(x).  x: [n]
void activate(float* x, Index n, nn::Activation activation);

}  // namespace ecseq::serving
