#include "additive_parts.hpp"

#include <numeric>

namespace ecseq::pipeline {
namespace {

float sum_of(const std::vector<float>& values, const gnn::InputLayout::Block& block) {
  return std::accumulate(values.begin() + block.begin, values.begin() + block.begin + block.size,
                         0.0f);
}

/// The mean's columns as a sum over the representatives it was taken of: each stands for its
/// weight's share of every column. What is clipped is clipped in proportion.
std::vector<float> shares(const ModelState& state, const Attribution& attribution,
                          const relation::Neighbourhood& around) {
  const auto& relation = *state.similarity;
  const auto& block = state.similarity_block();
  const nn::Scaler& scaler = state.layer.scaler();
  const std::size_t k = around.representative.size();
  Matrix<float> nodes(static_cast<Index>(k), block.size);
  for (std::size_t j = 0; j < k; ++j) {
    relation.node(around.representative[j], nodes.row(static_cast<Index>(j)).data());
  }
  std::vector<float> out(k, 0.0f);
  for (Index c = 0; c < block.size; ++c) {
    const auto column = static_cast<std::size_t>(block.begin + c);
    double total = 0.0;
    std::vector<double> share(k);
    for (std::size_t j = 0; j < k; ++j) {
      const double standard =
          (static_cast<double>(nodes(static_cast<Index>(j), c)) - scaler.mean[block.begin + c]) *
          scaler.inverse_std[block.begin + c];
      total += share[j] = around.weight[j] * standard;
    }
    if (total == 0.0) continue;
    for (std::size_t j = 0; j < k; ++j) {
      out[j] += static_cast<float>(share[j] / total * attribution.dense[column]);
    }
  }
  return out;
}

}  // namespace

bool is_additive(const ModelState& state) {
  if (!state.gate.stacked) return true;
  const ModelOptions& options = state.options;
  const bool linear = options.gnn == "sage_mean" || options.gnn == "gcn";
  return nn::activation_named(options.activation) == nn::Activation::kNone &&
         !state.learns_memories() && (state.averages() || (linear && options.n_layers == 1));
}

AdditiveParts additive_parts(const ModelState& state, const LayerInputs& inputs,
                             const Matrix<float>& base, const relation::Neighbourhood& around,
                             Index output) {
  AdditiveParts out;
  out.similar.assign(around.representative.size(), 0.0f);
  out.entities.assign(state.entities.size(), 0.0f);
  if (!state.gate.stacked) {
    out.own = base(0, output);
    return out;
  }
  const Attribution found = state.layer.attribute(state.similar(), inputs, output);
  const bool regression = state.task == Task::kRegression;
  const auto scale =
      static_cast<float>(state.gate.head_weight * (regression ? state.target_std : 1.0));
  out.own = static_cast<float>(state.gate.base_weight) * base(0, output) +
            scale * (sum_of(found.dense, state.self_block()) + found.node);
  for (std::size_t e = 0; e < out.entities.size(); ++e) {
    float part = sum_of(found.dense, state.entity_block(e));
    if (const auto memory = state.memory_of(e)) part += found.memories[*memory];
    out.entities[e] = scale * part;
  }
  float rest = found.rest;
  if (state.similarity) {
    const std::vector<float> edges = state.averages() ? shares(state, found, around) : found.edges;
    for (std::size_t j = 0; j < edges.size(); ++j) out.similar[j] = scale * edges[j];
    if (state.averages()) {
      rest += sum_of(found.dense, state.similarity_block()) -
              std::accumulate(edges.begin(), edges.end(), 0.0f);
    }
  }
  out.rest = static_cast<float>(state.gate.bias) + scale * rest;
  if (regression) {
    out.rest += static_cast<float>(state.gate.head_weight * state.target_mean);
  }
  return out;
}

}  // namespace ecseq::pipeline
