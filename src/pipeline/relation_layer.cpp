#include "ecseq/pipeline/relation_layer.hpp"

namespace ecseq::pipeline {
namespace {

NetworkOptions dense_options(const RelationLayerOptions& options, const Supervision& supervision) {
  NetworkOptions out;
  out.hidden = {options.graph.hidden_size};
  out.hidden.insert(out.hidden.end(), options.graph.head.begin(), options.graph.head.end());
  out.activation = options.graph.backbone.activation;
  out.standardize = options.graph.standardize;
  out.dropout = options.graph.dropout;
  out.loss = supervision.loss;
  out.selection = supervision.selection;
  out.training = options.training;
  return out;
}

}  // namespace

RelationLayer RelationLayer::fit(const GraphTraining& problem, const RelationLayerOptions& options,
                                 const RelationLayer* initial, nn::TrainingReport& report,
                                 const ProgressCallback& progress) {
  if (!options.averaged) {
    const GraphNetwork* from = initial ? &std::get<GraphNetwork>(initial->form_) : nullptr;
    return RelationLayer(
        fit_graph_network(problem, options.graph, from, options.training, report, progress));
  }
  const Supervision& supervision = problem.supervision;
  const TrainingSet training{problem.training->dense, supervision.channels, supervision.weights};
  const ValidationSet validation{problem.validation->dense, problem.y_validation};
  const NetworkOptions dense = dense_options(options, supervision);
  return RelationLayer(
      initial ? continue_network(initial->network(), training, validation, supervision.task, dense,
                                 report, progress)
              : fit_network(training, validation, supervision.task, dense, report, progress));
}

Matrix<float> RelationLayer::predict(const relation::SimilarityRelation* relation,
                                     const LayerInputs& inputs, int num_threads) const {
  if (averaged()) return network().predict(inputs.dense, num_threads);
  return std::get<GraphNetwork>(form_).predict(relation, inputs, num_threads);
}

Matrix<float> RelationLayer::hidden_layer(const relation::SimilarityRelation* relation,
                                          const LayerInputs& inputs, int num_threads) const {
  if (averaged()) return network().hidden_layer(inputs.dense, num_threads);
  return std::get<GraphNetwork>(form_).hidden_layer(relation, inputs, num_threads);
}

Attribution RelationLayer::attribute(const relation::SimilarityRelation* relation,
                                     const LayerInputs& inputs, Index output) const {
  if (averaged()) return network().attribute(inputs.dense, output);
  return std::get<GraphNetwork>(form_).attribute(relation, inputs, output);
}

const nn::Scaler& RelationLayer::scaler() const {
  return averaged() ? network().scaler() : std::get<GraphNetwork>(form_).scaler();
}

void RelationLayer::save(io::TensorFile& file, const std::string& prefix) const {
  std::visit([&](const auto& form) { form.save(file, prefix); }, form_);
}

RelationLayer RelationLayer::load(const io::TensorFile& file, const std::string& prefix,
                                  const RelationLayerOptions& options, Index nodes,
                                  const std::vector<Index>& memories, Index out) {
  if (options.averaged) {
    return RelationLayer(Network::load(file, prefix, options.graph.backbone.activation));
  }
  return RelationLayer(GraphNetwork::load(file, prefix, options.graph, nodes, memories, out));
}

}  // namespace ecseq::pipeline
