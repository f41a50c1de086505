#pragma once

#include "ecseq/autograd/operations/rows.hpp"

namespace ecseq::autograd {

/// Sum over triplets of w_i * max(0, p_i - n_i + m_i): the distance p of an anchor to what is near
/// has to stay below its distance n to what is farther, by a margin m of its own.
/// near p, far n: [t, 1], margins m: [t], weights w: [t] or null (all 1), both read again by the
/// backward pass; result [1, 1]
template <class Scalar>
class TripletHinge final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  TripletHinge(V near, V far, std::span<const Scalar> margins, const Scalar* weights)
      : near_(near), far_(far), margins_(margins), weights_(weights) {}

  void forward(Values<Scalar> loss) override {
    double sum = 0.0;
    for (Index i = 0; i < near_.rows(); ++i) {
      const Scalar e = excess(i);
      sum += static_cast<double>(weight(i) * (e < Scalar(0) ? Scalar(0) : e));
    }
    loss(0, 0) = static_cast<Scalar>(sum);
  }

  // dp_i = dloss w_i where the margin is broken, else 0;  dn_i = -dp_i
  void backward(ConstValues<Scalar>, ConstValues<Scalar> dloss) override {
    for (Index i = 0; i < near_.rows(); ++i) {
      if (!(excess(i) > Scalar(0))) continue;
      const Scalar gradient = dloss(0, 0) * weight(i);
      if (near_.needs_gradient()) *gradient_row(near_, i) += gradient;
      if (far_.needs_gradient()) *gradient_row(far_, i) -= gradient;
    }
  }

 private:
  Scalar excess(Index i) const {
    return *value_row(near_, i) - *value_row(far_, i) + margins_[static_cast<std::size_t>(i)];
  }
  Scalar weight(Index i) const { return weights_ ? weights_[i] : Scalar(1); }
  V near_, far_;
  std::span<const Scalar> margins_;
  const Scalar* weights_;
};

/// near, far: distances, [t, 1] each; squared ones are row_dot(d, d) with d = subtract(a, b)
template <class Scalar>
Variable<Scalar> triplet_hinge(Variable<Scalar> near, Variable<Scalar> far,
                               std::type_identity_t<std::span<const Scalar>> margins,
                               const std::type_identity_t<Scalar>* weights) {
  require_shape(near, near.rows(), 1, "near");
  require_shape(far, near.rows(), 1, "far");
  require_count(margins.size(), near.rows(), "margins");
  return near.tape().template apply<TripletHinge<Scalar>>(
      1, 1, near.needs_gradient() || far.needs_gradient(), near, far, margins, weights);
}

}  // namespace ecseq::autograd
