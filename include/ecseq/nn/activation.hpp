#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "ecseq/autograd/operations/gelu.hpp"
#include "ecseq/autograd/operations/relu.hpp"
#include "ecseq/autograd/operations/tanh.hpp"
#include "ecseq/core/error.hpp"

namespace ecseq::nn {

/// Between the layers of a network, element by element. kNone leaves a linear network.
enum class Activation { kNone, kRelu, kTanh, kGelu };

/// "none", "relu", "tanh" or "gelu"; throws InvalidArgument for another name.
inline Activation activation_named(const std::string& name) {
  if (name == "none") return Activation::kNone;
  if (name == "relu") return Activation::kRelu;
  if (name == "tanh") return Activation::kTanh;
  if (name == "gelu") return Activation::kGelu;
  throw InvalidArgument("activation: expected 'none', 'relu', 'tanh' or 'gelu', got '" + name +
                        "'");
}

template <class Scalar>
autograd::Variable<Scalar> activate(autograd::Variable<Scalar> x, Activation activation) {
  switch (activation) {
    case Activation::kRelu:
      return autograd::relu(x);
    case Activation::kTanh:
      return autograd::tanh(x);
    case Activation::kGelu:
      return autograd::gelu(x);
    case Activation::kNone:
      break;
  }
  return x;
}

/// The same for one number outside a tape.
inline float activate(float x, Activation activation) {
  switch (activation) {
    case Activation::kRelu:
      return std::max(0.0f, x);
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kGelu:
      return 0.5f * x * (1.0f + std::erf(x * 0.70710678f));
    case Activation::kNone:
      break;
  }
  return x;
}

}  // namespace ecseq::nn
