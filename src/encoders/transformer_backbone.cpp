#include "transformer_backbone.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/kernels/layer_norm.hpp"
#include "ecseq/nn/positions.hpp"

namespace ecseq::encoders {
namespace {

/// Sinusoidal positions are computed as they are needed beyond these.
constexpr Index kMostKeptReady = 4096;

kernels::TransformerShape shape_of(const EncoderOptions& options) {
  kernels::TransformerShape shape;
  shape.heads = options.transformer.n_heads;
  shape.norm_first = options.transformer.norm == "pre";
  shape.causal = options.transformer.causal;
  shape.activation = options.transformer.activation == "relu" ? kernels::Activation::kRelu
                                                              : kernels::Activation::kGelu;
  return shape;
}

}  // namespace

TransformerBackbone::TransformerBackbone(const EncoderOptions& options, Index inputs,
                                         nn::Parameters<float>& parameters, Rng& rng)
    : inputs_(inputs),
      hidden_(options.hidden_size),
      dropout_(options.dropout),
      positions_(options.transformer.positions),
      max_length_(options.transformer.max_length),
      shape_(shape_of(options)) {
  if (options.transformer.input_projection) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(inputs));
    input_.weight = parameters.add_uniform("transformer.input.weight", inputs, hidden_, bound, rng);
    input_.bias = parameters.add("transformer.input.bias", 1, hidden_);
  } else if (inputs != hidden_) {
    throw InvalidArgument("input_projection: events of " + std::to_string(inputs) +
                          " columns cannot do without it where hidden_size is " +
                          std::to_string(hidden_));
  }
  if (positions_ == "learned") {
    const auto draw = [&](float* table) {
      for (Index i = 0; i < max_length_ * hidden_; ++i) {
        table[i] = static_cast<float>(0.02 * rng.normal());
      }
    };
    position_table_ = parameters.add_with("transformer.positions", max_length_, hidden_, draw);
  }
  if (positions_ == "sinusoidal") table_ = sinusoidal(std::min(max_length_, kMostKeptReady));
  const Index given = options.transformer.feed_forward_size;
  const Index feed_forward = given > 0 ? given : 4 * hidden_;
  for (int l = 0; l < options.n_layers; ++l) {
    layers_.push_back(nn::add_transformer_layer(parameters, "transformer." + std::to_string(l),
                                                hidden_, feed_forward, rng));
  }
  if (options.transformer.final_norm)
    norm_ = nn::add_layer_norm(parameters, "transformer.norm", hidden_);
}

void TransformerBackbone::require_length(Index length) const {
  if (positions_ != "learned" || length <= max_length_) return;
  throw InvalidArgument("sequences: expected at most max_length=" + std::to_string(max_length_) +
                        " events with learned positions, got " + std::to_string(length));
}

Matrix<float> TransformerBackbone::sinusoidal(Index length) const {
  Matrix<float> table(length, hidden_);
  nn::sinusoidal_positions(length, hidden_, table.data());
  return table;
}

autograd::Variable<float> TransformerBackbone::states(const nn::BoundParameters<float>& parameters,
                                                      const nn::RecurrentBatch& batch,
                                                      const nn::LayerInput<float>& input,
                                                      nn::StatesOf states_of, Rng* rng) const {
  auto& tape = parameters.tape();
  const auto offsets = nn::event_offsets(tape, batch);
  Rng unused(0);
  Rng& drops = rng == nullptr ? unused : *rng;
  const double dropout = rng == nullptr ? 0.0 : dropout_;
  auto x = *input.states;
  if (input_.weight >= 0) x = input_.variables(parameters)(x);
  if (positions_ == "learned") {
    x = nn::add_positions(x, offsets, parameters[position_table_]);
  } else if (positions_ == "sinusoidal") {
    const Index longest = batch.runs.empty() ? 0 : batch.runs.front().length;
    if (longest <= table_.rows()) {
      x = nn::add_positions(x, offsets, tape.constant(table_));
    } else {
      const auto table = tape.constant(longest, hidden_);
      nn::sinusoidal_positions(longest, hidden_, table.value().data());
      x = nn::add_positions(x, offsets, table);
    }
  }
  for (const auto& layer : layers_) {
    x = nn::transformer_layer(x, offsets, layer.variables(parameters), shape_, dropout, drops);
  }
  if (norm_.gain >= 0) {
    x = autograd::layer_norm(x, parameters[norm_.gain], parameters[norm_.bias],
                             static_cast<double>(shape_.epsilon));
  }
  if (states_of == nn::StatesOf::kEveryStep) return x;
  auto* const last = tape.scratch_of<Index>(static_cast<Index>(batch.runs.size()));
  for (const auto& run : batch.runs) last[run.result] = run.first + run.length - 1;
  return autograd::gather_rows(x, {last, batch.runs.size()});
}

void TransformerBackbone::pack(const nn::Parameters<float>& parameters) {
  if (input_.weight >= 0) {
    packed_input_ = {parameters.view(input_.weight), parameters.data(input_.bias)};
  }
  if (position_table_ >= 0) table_ = parameters.view(position_table_).eigen();
  packed_.clear();
  for (const auto& layer : layers_) {
    packed_.emplace_back(layer.matrices(parameters), shape_.heads);
  }
  if (norm_.gain >= 0) {
    packed_norm_ = {parameters.data(norm_.gain), parameters.data(norm_.bias), hidden_};
  }
}

void TransformerBackbone::place(std::span<const kernels::EventRun> runs, const float* table,
                                const float* positions, float* x) const {
  const Index stride = packed_.front().stride();
  for (const auto& run : runs) {
    const float* const events = table + run.first * inputs_;
    if (input_.weight >= 0) {
      kernels::project(packed_input_, events, inputs_, run.length, x, stride);
    } else {
      for (Index t = 0; t < run.length; ++t) {
        std::copy_n(events + t * inputs_, hidden_, x + t * stride);
      }
    }
    if (positions_ != "none") {
      for (Index t = 0; t < run.length; ++t) {
        const float* const position = positions + t * hidden_;
        for (Index j = 0; j < hidden_; ++j) x[t * stride + j] += position[j];
      }
    }
    x += run.length * stride;
  }
}

// A few sequences at a time go through all layers, so that their rows stay in the cache.
void TransformerBackbone::run(std::span<const kernels::EventRun> runs,
                              const kernels::LayerSource<float>& source, nn::StatesOf states_of,
                              float* out, Index out_stride, Arena& memory) const {
  constexpr Index kEvents = 96;
  if (runs.empty()) return;
  const Index stride = packed_.front().stride(), longest = runs.front().length;
  const Index most = std::max(kEvents, longest);
  const float* positions = table_.data();
  if (positions_ == "sinusoidal" && longest > table_.rows()) {
    float* const computed = memory.take<float>(longest * hidden_);
    nn::sinusoidal_positions(longest, hidden_, computed);
    positions = computed;
  }
  float* const x = memory.take<float>(most * stride);
  float* const scratch =
      memory.take<float>(kernels::transformer_scratch_size(packed_.front(), shape_, most, longest));
  auto* const offsets = memory.take<Index>(static_cast<Index>(runs.size()) + 1);
  while (!runs.empty()) {
    offsets[0] = 0;
    std::size_t count = 0;
    while (count < runs.size() && (count == 0 || offsets[count] + runs[count].length <= most)) {
      offsets[count + 1] = offsets[count] + runs[count].length;
      ++count;
    }
    const auto group = runs.first(count);
    place(group, source.states, positions, x);
    for (const auto& layer : packed_) {
      kernels::transformer_layer(layer, shape_, offsets, static_cast<Index>(count), x, scratch);
    }
    if (norm_.gain >= 0) {
      kernels::layer_norm<float>(x, offsets[count], hidden_, stride, packed_norm_.gain.data(),
                                 packed_norm_.bias.data(), shape_.epsilon, x);
    }
    for (std::size_t s = 0; s < count; ++s) {
      const auto& run = group[s];
      const float* const states = x + offsets[s] * stride;
      if (states_of == nn::StatesOf::kLastStep) {
        std::copy_n(states + (run.length - 1) * stride, hidden_, out + run.result * out_stride);
        continue;
      }
      for (Index t = 0; t < run.length; ++t) {
        std::copy_n(states + t * stride, hidden_, out + (run.first + t) * out_stride);
      }
    }
    runs = runs.subspan(count);
  }
}

}  // namespace ecseq::encoders
