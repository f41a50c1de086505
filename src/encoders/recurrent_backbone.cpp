#include "recurrent_backbone.hpp"

#include <algorithm>
#include <cmath>

#include "ecseq/nn/recurrent_network.hpp"

namespace ecseq::encoders {
namespace {

/// "lstm.bias", "lstm.bias_backward", "lstm.bias_1", "lstm.bias_1_backward", ...
std::string parameter_name(const EncoderOptions& options, const char* what, int layer,
                           bool backward) {
  std::string name = options.cell + "." + what;
  if (layer > 0) name.append("_").append(std::to_string(layer));
  if (backward) name += "_backward";
  return name;
}

}  // namespace

template <class Cell>
RecurrentBackbone<Cell>::RecurrentBackbone(const EncoderOptions& options, Index inputs,
                                           nn::Parameters<float>& parameters, Rng& rng)
    : hidden_(options.hidden_size),
      n_layers_(options.n_layers),
      directions_(options.directions()),
      dropout_(options.dropout) {
  const Index size = Cell::kGates * hidden_;
  const double bound = 1.0 / std::sqrt(static_cast<double>(hidden_));
  for (int layer = 0; layer < n_layers_; ++layer) {
    for (int direction = 0; direction < directions_; ++direction) {
      const auto name = [&](const char* what) {
        return parameter_name(options, what, layer, direction == 1);
      };
      const Index rows = layer == 0 ? inputs : directions_ * hidden_;
      CellNumbers cell{};
      cell.weight_input = parameters.add_uniform(name("weight_input"), rows, size, bound, rng);
      cell.weight_hidden = parameters.add_uniform(name("weight_hidden"), hidden_, size, bound, rng);
      cell.bias = parameters.add_with(name("bias"), 1, 4 * hidden_, [&](float* bias) {
        for (Index j = 0; j < 4 * hidden_; ++j) {
          bias[j] = static_cast<float>(rng.uniform(-bound, bound));
        }
        // An open forget gate lets the first gradients reach early events (Jozefowicz et al. 2015).
        if constexpr (Cell::kCells > 0) {
          for (Index j = 0; j < hidden_; ++j) bias[hidden_ + j] += 1.0F;
        }
      });
      cells_.push_back(cell);
    }
  }
}

template <class Cell>
autograd::Variable<float> RecurrentBackbone<Cell>::states(
    const nn::BoundParameters<float>& parameters, const nn::RecurrentBatch& batch,
    const nn::LayerInput<float>& input, nn::StatesOf states_of, Rng* rng) const {
  auto* const cells =
      parameters.tape().scratch_of<nn::CellVariables<float>>(static_cast<Index>(cells_.size()));
  for (std::size_t c = 0; c < cells_.size(); ++c) {
    cells[c] = {parameters[cells_[c].weight_input], parameters[cells_[c].weight_hidden],
                parameters[cells_[c].bias]};
  }
  Rng unused(0);
  return nn::recurrent_network<float, Cell>(batch, input, {cells, cells_.size()},
                                            {directions_ == 2, rng == nullptr ? 0.0 : dropout_},
                                            states_of, rng == nullptr ? unused : *rng);
}

template <class Cell>
void RecurrentBackbone<Cell>::pack(const nn::Parameters<float>& parameters) {
  packed_.resize(cells_.size());
  weights_.clear();
  for (std::size_t c = 0; c < cells_.size(); ++c) {
    const auto weight_input = parameters.view(cells_[c].weight_input);
    packed_[c].resize(
        kernels::packed_recurrent_size<float, Cell::kGates>(weight_input.rows, hidden_));
    weights_.push_back(kernels::pack_recurrent<float, Cell::kGates>(
        weight_input, parameters.view(cells_[c].weight_hidden), parameters.data(cells_[c].bias),
        packed_[c].data()));
  }
}

template <class Cell>
void RecurrentBackbone<Cell>::run(std::span<const kernels::EventRun> runs,
                                  const kernels::LayerSource<float>& source, nn::StatesOf states_of,
                                  float* out, Index out_stride, Arena& memory) const {
  const auto count = static_cast<Index>(runs.size());
  const Index width = directions_ * hidden_;
  Index events = 0;
  if (n_layers_ > 1) {
    for (const auto& run : runs) events += run.length;
  }
  Index scratch_size = 0;
  for (const auto& weights : weights_) {
    scratch_size = std::max(scratch_size, kernels::recurrent_scratch_size<Cell, float>(weights));
  }
  float* const scratch = memory.take<float>(scratch_size);
  float* states = n_layers_ > 1 ? memory.take<float>(events * width) : nullptr;
  float* below = n_layers_ > 2 ? memory.take<float>(events * width) : nullptr;
  for (int layer = 0; layer < n_layers_; ++layer) {
    const bool last = layer + 1 == n_layers_;
    const kernels::LayerSource<float> from =
        layer == 0 ? source : kernels::LayerSource<float>{{}, below};
    for (int direction = 0; direction < directions_; ++direction) {
      const auto& weights = weights_[static_cast<std::size_t>(layer * directions_ + direction)];
      float* const to = (last ? out : states) + direction * hidden_;
      const Index stride = last ? out_stride : width;
      if (last && states_of == nn::StatesOf::kLastStep) {
        kernels::recurrent_layer<Cell, false>(weights, from, direction == 1, runs.data(), count, to,
                                              stride, scratch);
      } else {
        kernels::recurrent_layer<Cell, true>(weights, from, direction == 1, runs.data(), count, to,
                                             stride, scratch);
      }
    }
    std::swap(below, states);
  }
}

template <class Cell>
std::optional<Index> RecurrentBackbone<Cell>::state_size() const {
  if (directions_ == 2) return {};
  return n_layers_ * (1 + (Cell::kCells > 0 ? 1 : 0)) * hidden_;
}

template <class Cell>
void RecurrentBackbone<Cell>::advance(const float* event, float* state, float* out,
                                      Arena& memory) const {
  const float* x = event;
  for (const auto& weights : weights_) {
    const Index padded = weights.padded;
    float* const row = memory.take<float>(weights.row_size());
    float* const next = memory.take<float>(padded);
    float* const cell = memory.take<float>(padded);
    std::fill_n(row, weights.row_size(), 0.0F);
    std::copy_n(state, hidden_, row);
    std::copy_n(x, weights.inputs, row + padded);
    kernels::RecurrentStep<float> step;
    step.row = row;
    step.row_stride = weights.row_size();
    step.hidden_out = next;
    step.hidden_stride = padded;
    if constexpr (Cell::kCells > 0) {
      std::fill_n(cell, padded, 0.0F);
      std::copy_n(state + hidden_, hidden_, cell);
      step.cell_in = step.cell_out = cell;
    }
    kernels::recurrent_step<Cell, float, false>(weights, step, 1);
    std::copy_n(next, hidden_, state);
    state += hidden_;
    if constexpr (Cell::kCells > 0) {
      std::copy_n(cell, hidden_, state);
      state += hidden_;
    }
    x = next;
  }
  std::copy_n(x, hidden_, out);
}

template class RecurrentBackbone<kernels::LstmCell>;
template class RecurrentBackbone<kernels::GruCell>;

}  // namespace ecseq::encoders
