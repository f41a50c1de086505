#pragma once

#include <vector>

#include "ecseq/kernels/dense.hpp"
#include "ecseq/nn/dense_layers.hpp"

namespace ecseq::nn {

/// Dense layers with parameters of their own. With neighbours' means among the columns of x, the
/// first is a GraphSAGE-mean layer and the rest its head (gnn/input_layout.hpp).
class FeedForward {
 public:
  FeedForward() = default;
  /// hidden: sizes of the hidden layers, none for y = W x + b.
  FeedForward(Index in, std::vector<Index> hidden, Index out, Rng& rng,
              Activation activation = Activation::kRelu)
      : in_(in),
        hidden_(std::move(hidden)),
        out_(out),
        layers_(parameters_, "", in, hidden_, out, activation, rng) {}

  Index in() const { return in_; }
  const std::vector<Index>& hidden() const { return hidden_; }
  Index out() const { return out_; }
  Activation activation() const { return layers_.activation(); }
  Parameters<float>& parameters() { return parameters_; }
  const Parameters<float>& parameters() const { return parameters_; }

  /// x: [n, in] -> [n, out], recorded on the tape; dropout acts on the hidden layers.
  autograd::Variable<float> forward(const BoundParameters<float>& bound,
                                    autograd::Variable<float> x, double dropout, Rng& rng) const {
    return layers_.forward(bound, x, dropout, rng);
  }

  /// Weights in the layout of the prediction kernels; to be repeated after they change. A type of
  /// its own: the kernels' types are named by instruction set, and this one is part of the
  /// interface.
  struct Packed {
    std::vector<kernels::PackedDense> layers;
  };
  Packed pack() const;

  /// The first hidden layer, z = act(W1 x + b1). x: [rows, in]; z: [rows, hidden()[0]]. `scratch`
  /// grows as needed.
  void hidden_layer(const Packed& packed, const float* x, Index rows, float* z,
                    std::vector<float>& scratch) const;
  /// y: [rows, out]. A row's result does not depend on the other rows.
  void predict(const Packed& packed, const float* x, Index rows, float* y) const;

 private:
  Index in_ = 0;
  std::vector<Index> hidden_;
  Index out_ = 0;
  Parameters<float> parameters_;
  DenseLayers<float> layers_;
};

}  // namespace ecseq::nn
