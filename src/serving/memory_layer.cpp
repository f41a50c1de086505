#include "memory_layer.hpp"

#include <algorithm>
#include <cmath>

#include "ecseq/kernels/recurrence.hpp"
#include "ecseq/kernels/softmax.hpp"

namespace ecseq::serving {

MemoryLayer::MemoryLayer(gnn::MemoryAggregation aggregation,
                         const nn::Parameters<float>& parameters, const std::string& name,
                         const nn::Scaler& scaler)
    : aggregation_(aggregation), scaler_(scaler) {
  const auto view = [&](const char* what) { return parameters.view(parameters.find(name + what)); };
  if (aggregation == gnn::MemoryAggregation::kGru) {
    const auto weight_input = view(".weight_input"), weight_hidden = view(".weight_hidden");
    inputs_ = weight_input.rows;
    out_ = hidden_ = weight_hidden.rows;
    packed_.resize(kernels::packed_recurrent_size<float, 3>(inputs_, hidden_));
    kernels::pack_recurrent<float, 3>(weight_input, weight_hidden, view(".bias").data,
                                      packed_.data());
    return;
  }
  first_ = {view(".first.weight"), view(".first.bias").data};
  second_ = {view(".second.weight"), view(".second.bias").data};
  attention_ = Eigen::Map<const Eigen::ArrayXf>(view(".attention").data, second_.out());
  out_ = 2 * second_.out();
}

void MemoryLayer::apply(const float* rows, Index count, float* out, Arena& memory) const {
  std::fill_n(out, out_, 0.0F);
  if (count == 0) return;
  const Index in = scaler_.size();
  float* const scaled = memory.take<float>(count * in);
  for (Index i = 0; i < count; ++i) scaler_.apply(rows + i * in, scaled + i * in);
  if (aggregation_ == gnn::MemoryAggregation::kGnn) return pooled(scaled, count, out, memory);
  const auto weights = kernels::recurrent_weights_at<float, 3>(inputs_, hidden_, packed_.data());
  const kernels::EventRun run{scaled, count, 0, 0};
  float* const scratch =
      memory.take<float>(kernels::recurrent_scratch_size<kernels::GruCell, float>(weights));
  kernels::recurrent_last_state<kernels::GruCell>(weights, kernels::Standardisation{}, &run, 1, out,
                                                  out_, scratch);
}

void MemoryLayer::pooled(const float* rows, Index count, float* out, Arena& memory) const {
  const Index half = second_.out();
  float* const v1 = memory.take<float>(count * first_.padded());
  float* const v = memory.take<float>(count * second_.padded());
  float* const alpha = memory.take<float>(kernels::round_up<float>(count));
  kernels::project(first_, rows, first_.in(), count, v1, first_.padded());
  activate(v1, count * first_.padded(), nn::Activation::kRelu);
  kernels::project(second_, v1, first_.padded(), count, v, second_.padded());
  activate(v, count * second_.padded(), nn::Activation::kRelu);
  for (Index i = 0; i < count; ++i) {
    alpha[i] = 0.0F;
    for (Index j = 0; j < half; ++j) alpha[i] += v[i * second_.padded() + j] * attention_[j];
  }
  const float largest = kernels::largest_of(alpha, count);
  const float total = kernels::exponentials(alpha, count, largest, 1.0F);
  for (Index i = 0; i < count; ++i) {
    for (Index j = 0; j < half; ++j) {
      const float value = v[i * second_.padded() + j];
      out[j] += value / static_cast<float>(count);
      out[half + j] += alpha[i] / total * value;
    }
  }
}

}  // namespace ecseq::serving
