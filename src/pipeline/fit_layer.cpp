#include "fit_layer.hpp"

#include <algorithm>

#include "ecseq/core/error.hpp"
#include "entity_inputs.hpp"

namespace ecseq::pipeline {
namespace {

/// The representatives as samples (ECSeq section III-D): X_com = phi^T X over the columns of their
/// members, neighbours among themselves (E_com), labels Y_com = phi^T Y.
struct RepresentativeSet {
  LayerInputs inputs;      ///< [K, width]
  Matrix<float> channels;  ///< [K, outputs]
};

RepresentativeSet representative_set(const ModelState& state, const LayerInputs& inputs) {
  const auto& relation = *state.similarity;
  const auto& representatives = relation.representatives();
  const Index k = representatives.size();
  if (k < 2) {
    throw InvalidArgument("mode: training on representatives needs at least 2 of them, got 1");
  }
  const auto& mass = relation.labelled_mass();
  Matrix<double> sums = Matrix<double>::Zero(k, inputs.dense.cols());
  for (Index i = 0; i < inputs.size(); ++i) {
    sums.row(relation.assignment()[static_cast<std::size_t>(i)]) +=
        inputs.dense.row(i).cast<double>();
  }
  RepresentativeSet out;
  out.channels.resize(k, representatives.label_sums.cols());
  for (Index j = 0; j < k; ++j) {
    const double members = std::max(1.0, mass[static_cast<std::size_t>(j)]);
    sums.row(j) /= members;
    out.channels.row(j) = (representatives.label_sums.row(j) / members).cast<float>();
  }
  out.inputs.dense = sums.cast<float>();
  out.inputs.attachments = relation.attach_representatives();
  if (state.averages()) {
    const auto& block = state.similarity_block();
    out.inputs.dense.middleCols(block.begin, block.size) =
        relation.aggregate(out.inputs.attachments, 1);
    out.inputs.attachments = {};
  } else if (inputs.node.rows() > 0) {
    out.inputs.node.resize(k, relation.n_features());
    for (Index j = 0; j < k; ++j) {
      relation.as_node(representatives.vectors.row(j).data(), out.inputs.node.row(j).data());
    }
  }
  return out;
}

}  // namespace

void lay_out_blocks(ModelState& state, Index embedding_size) {
  gnn::InputLayout layout;
  const bool sees_itself =
      !gnn::Backbone<float>::has_nodes_of_one_kind(state.options.gnn) || !state.similarity;
  const bool embedding = state.options.embedding && (sees_itself || state.options.residual);
  layout.add_block(
      "self", (embedding ? embedding_size : 0) + (state.options.residual ? state.n_outputs() : 0));
  if (state.similarity && state.averages()) {
    layout.add_block("similarity", state.similarity->n_features());
  }
  for (std::size_t e = 0; e < state.entities.size(); ++e) {
    layout.add_block(state.options.entities[e].by, entity_width(state.entities[e]));
  }
  state.blocks = layout.blocks();
}

RelationLayer fit_layer(const ModelState& state, const LayerInputs& inputs,
                        const Matrix<float>& channels, const std::vector<float>& weights,
                        const LayerInputs& inputs_validation, const Targets& y_validation,
                        nn::TrainingReport& report, const ProgressCallback& progress) {
  const ModelOptions& options = state.options;
  const RelationLayerOptions how = layer_options(state);
  const auto fit = [&](const LayerInputs& on, const Matrix<float>& of, const float* row_weights,
                       const RelationLayer* initial, nn::TrainingReport& of_fit) {
    const Supervision supervision{of, row_weights, state.task, options.loss, options.selection};
    return RelationLayer::fit(
        {state.similar(), &on, supervision, &inputs_validation, &y_validation}, how, initial,
        of_fit, progress);
  };
  const float* given_weights = weights.empty() ? nullptr : weights.data();
  if (options.mode == "targets") return fit(inputs, channels, given_weights, nullptr, report);

  const RepresentativeSet set = representative_set(state, inputs);
  if (options.mode == "compressed") return fit(set.inputs, set.channels, nullptr, nullptr, report);
  if (options.mode == "pretrain") {
    nn::TrainingReport pretraining;
    const RelationLayer initial = fit(set.inputs, set.channels, nullptr, nullptr, pretraining);
    return fit(inputs, channels, given_weights, &initial, report);
  }
  // joint: mean loss over targets + aux_weight * mean loss over representatives
  const Index n = inputs.size(), k = set.inputs.size();
  Matrix<float> all_channels(n + k, channels.cols());
  all_channels << channels, set.channels;
  std::vector<float> all_weights = weights;
  all_weights.resize(static_cast<std::size_t>(n), 1.0f);
  all_weights.resize(
      static_cast<std::size_t>(n + k),
      static_cast<float>(options.aux_weight * static_cast<double>(n) / static_cast<double>(k)));
  return fit(stack(inputs, set.inputs), all_channels, all_weights.data(), nullptr, report);
}

}  // namespace ecseq::pipeline
