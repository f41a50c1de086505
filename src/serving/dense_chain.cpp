#include "dense_chain.hpp"

#include <algorithm>

namespace ecseq::serving {

DenseChain::DenseChain(const std::vector<Affine>& layers, nn::Activation activation)
    : activation_(activation) {
  const auto add = [&](const Affine& layer) {
    layers_.emplace_back(layer.weight, layer.bias.data());
  };
  if (activation == nn::Activation::kNone) {
    add(composed(layers));
  } else {
    for (const Affine& layer : layers) add(layer);
  }
}

void DenseChain::apply(const float* x, float* out, Arena& memory) const {
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const auto& layer = layers_[l];
    float* const y = memory.take<float>(layer.padded());
    kernels::project_row(layer, x, y);
    if (l + 1 < layers_.size()) activate(y, layer.out(), activation_);
    x = y;
  }
  std::copy_n(x, this->out(), out);
}

Affine composed(const std::vector<Affine>& layers) {
  Affine all = layers.front();
  for (std::size_t l = 1; l < layers.size(); ++l) all = all.then(layers[l]);
  return all;
}

void activate(float* x, Index n, nn::Activation activation) {
  if (activation == nn::Activation::kRelu) {
    for (Index j = 0; j < n; ++j) x[j] = std::max(0.0F, x[j]);
  } else if (activation != nn::Activation::kNone) {
    for (Index j = 0; j < n; ++j) x[j] = nn::activate(x[j], activation);
  }
}

}  // namespace ecseq::serving
