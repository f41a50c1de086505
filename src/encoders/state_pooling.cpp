#include "state_pooling.hpp"

#include <algorithm>
#include <cmath>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/kernels/pool.hpp"
#include "ecseq/nn/pool_states.hpp"

namespace ecseq::encoders {

StatePooling::StatePooling(const EncoderOptions& options, nn::Parameters<float>& parameters,
                           Rng& rng)
    : kind_(options.pooling), width_(options.embedding_size()) {
  if (kind_ != "attention") return;
  const double bound = 1.0 / std::sqrt(static_cast<double>(width_));
  weight_ = parameters.add_uniform("pooling.weight", width_, width_, bound, rng);
  bias_ = parameters.add("pooling.bias", 1, width_);
  query_ = parameters.add_uniform("pooling.query", width_, 1, bound, rng);
}

autograd::Variable<float> StatePooling::pool(const nn::BoundParameters<float>& parameters,
                                             const nn::RecurrentBatch& batch,
                                             autograd::Variable<float> states) const {
  if (kind_ != "attention") {
    return nn::pool_states(batch, states, kind_ == "mean" ? nn::Pooling::kMean : nn::Pooling::kMax);
  }
  const auto offsets = nn::event_offsets(parameters.tape(), batch);
  const auto hidden =
      autograd::tanh(autograd::linear(states, parameters[weight_], parameters[bias_]));
  const auto weights =
      autograd::segment_softmax(autograd::matmul(hidden, parameters[query_]), offsets);
  return autograd::segment_sum(autograd::multiply_rows(states, weights), offsets);
}

void StatePooling::pack(const nn::Parameters<float>& parameters) {
  if (kind_ != "attention") return;
  packed_ = kernels::PackedDense(parameters.view(weight_), parameters.data(bias_));
  packed_query_.setZero(packed_.padded());
  std::copy_n(parameters.data(query_), width_, packed_query_.data());
}

void StatePooling::pool(const float* states, Index length, float* out) const {
  if (kind_ == "attention") {
    attend(states, length, out);
  } else if (kind_ == "mean") {
    kernels::mean_of_rows(states, length, width_, out);
  } else {
    kernels::max_of_rows(states, length, width_, out, nullptr);
  }
}

void StatePooling::attend(const float* states, Index length, float* out) const {
  constexpr Index kLanes = kernels::kLanes<float>;
  const Index padded = packed_.padded();
  Eigen::ArrayXf hidden(length * padded);
  Eigen::ArrayXf weights(length);
  kernels::multiply(packed_, states, width_, length, hidden.data());
  for (Index t = 0; t < length; ++t) {
    kernels::Vec<float> sum = kernels::broadcast(0.0F);
    for (Index j = 0; j < padded; j += kLanes) {
      const auto value = kernels::tanh(kernels::load(hidden.data() + t * padded + j));
      sum = kernels::fma(value, kernels::load(packed_query_.data() + j), sum);
    }
    float score = 0.0F;
    for (Index lane = 0; lane < kLanes; ++lane) score += sum[lane];
    weights[t] = score;
  }
  const float largest = *std::max_element(weights.data(), weights.data() + length);
  float total = 0.0F;
  for (Index t = 0; t < length; ++t) total += weights[t] = std::exp(weights[t] - largest);
  std::fill_n(out, width_, 0.0F);
  for (Index t = 0; t < length; ++t) {
    const float weight = weights[t] / total;
    const float* const state = states + t * width_;
    for (Index j = 0; j < width_; ++j) out[j] += weight * state[j];
  }
}

}  // namespace ecseq::encoders
