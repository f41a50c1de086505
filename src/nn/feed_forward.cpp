#include "ecseq/nn/feed_forward.hpp"

#include <algorithm>

namespace ecseq::nn {
namespace {

/// y = act(x W + b) without the padding of the product.
void apply_layer(const kernels::PackedDense& layer, const float* x, Index rows,
                 Activation activation, float* y, std::vector<float>& scratch) {
  const Index padded = layer.padded(), out = layer.out();
  scratch.resize(static_cast<std::size_t>(rows * padded));
  kernels::multiply(layer, x, layer.in(), rows, scratch.data());
  for (Index i = 0; i < rows; ++i) {
    const float* from = scratch.data() + i * padded;
    for (Index j = 0; j < out; ++j) y[i * out + j] = activate(from[j], activation);
  }
}

}  // namespace

FeedForward::Packed FeedForward::pack() const {
  Packed packed;
  for (const int weight : layers_.weights()) {
    packed.layers.emplace_back(parameters_.view(weight), parameters_.data(weight + 1));
  }
  return packed;
}

void FeedForward::hidden_layer(const Packed& packed, const float* x, Index rows, float* z,
                               std::vector<float>& scratch) const {
  apply_layer(packed.layers.front(), x, rows, activation(), z, scratch);
}

void FeedForward::predict(const Packed& packed, const float* x, Index rows, float* y) const {
  std::vector<float> scratch, z, next;
  for (std::size_t l = 0; l + 1 < packed.layers.size(); ++l) {
    next.resize(static_cast<std::size_t>(rows * hidden_[l]));
    apply_layer(packed.layers[l], x, rows, activation(), next.data(), scratch);
    std::swap(z, next);
    x = z.data();
  }
  apply_layer(packed.layers.back(), x, rows, Activation::kNone, y, scratch);
}

}  // namespace ecseq::nn
