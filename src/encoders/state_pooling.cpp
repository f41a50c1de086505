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

void StatePooling::pool(const float* states, Index length, float* out, Arena& memory) const {
  if (kind_ == "attention") {
    attend(states, length, out, memory);
  } else if (kind_ == "mean") {
    kernels::mean_of_rows(states, length, width_, out);
  } else {
    kernels::max_of_rows(states, length, width_, out, nullptr);
  }
}

void StatePooling::scores(const float* states, Index length, float* out, Arena& memory) const {
  constexpr Index kLanes = kernels::kLanes<float>;
  const Index padded = packed_.padded();
  float* const hidden = memory.take<float>(length * padded);
  kernels::multiply(packed_, states, width_, length, hidden);
  for (Index t = 0; t < length; ++t) {
    kernels::Vec<float> sum = kernels::broadcast(0.0F);
    for (Index j = 0; j < padded; j += kLanes) {
      const auto value = kernels::tanh(kernels::load(hidden + t * padded + j));
      sum = kernels::fma(value, kernels::load(packed_query_.data() + j), sum);
    }
    out[t] = 0.0F;
    for (Index lane = 0; lane < kLanes; ++lane) out[t] += sum[lane];
  }
}

void StatePooling::attend(const float* states, Index length, float* out, Arena& memory) const {
  float* const weights = memory.take<float>(length);
  scores(states, length, weights, memory);
  const float largest = *std::max_element(weights, weights + length);
  float total = 0.0F;
  for (Index t = 0; t < length; ++t) total += weights[t] = std::exp(weights[t] - largest);
  std::fill_n(out, width_, 0.0F);
  for (Index t = 0; t < length; ++t) {
    const float weight = weights[t] / total;
    const float* const state = states + t * width_;
    for (Index j = 0; j < width_; ++j) out[j] += weight * state[j];
  }
}

Index StatePooling::state_size() const {
  if (kind_ == "last") return 0;
  return kind_ == "attention" ? width_ + 2 : width_;
}

void StatePooling::advance(const float* h, Index count, float* state, float* out,
                           Arena& memory) const {
  if (kind_ == "last") {
    if (out != h) std::copy_n(h, width_, out);
  } else if (kind_ == "mean") {  // state: the sum
    for (Index j = 0; j < width_; ++j) {
      state[j] = count == 1 ? h[j] : state[j] + h[j];
      out[j] = state[j] / static_cast<float>(count);
    }
  } else if (kind_ == "max") {
    for (Index j = 0; j < width_; ++j)
      out[j] = state[j] = count == 1 ? h[j] : std::max(state[j], h[j]);
  } else {
    // The softmax as it grows: [largest score m, sum of exp(s - m), sum of exp(s - m) h].
    float score = 0.0F;
    scores(h, 1, &score, memory);
    const float before = count == 1 ? score : state[0], largest = std::max(before, score);
    const float kept = count == 1 ? 0.0F : std::exp(before - largest);
    const float weight = std::exp(score - largest);
    state[0] = largest;
    state[1] = (count == 1 ? 0.0F : state[1] * kept) + weight;
    for (Index j = 0; j < width_; ++j) {
      float& sum = state[2 + j];
      sum = (count == 1 ? 0.0F : sum * kept) + weight * h[j];
      out[j] = sum / state[1];
    }
  }
}

}  // namespace ecseq::encoders
