#pragma once

#include <string>
#include <variant>
#include <vector>

#include "ecseq/pipeline/graph_network.hpp"
#include "ecseq/pipeline/network.hpp"

namespace ecseq::pipeline {

/// What a relation layer is, in either form.
struct RelationLayerOptions {
  bool averaged = true;  ///< all that is heard is among the dense inputs: a dense network
  GraphNetworkOptions graph;
  nn::TrainingOptions training;
};

/// GNN layers and head. One GraphSAGE-mean layer over representatives that do not change is a dense
/// network over means that are taken once; every other layer works on the edges.
class RelationLayer {
 public:
  RelationLayer() = default;

  /// initial: continues from it, unless it is null.
  static RelationLayer fit(const GraphTraining& problem, const RelationLayerOptions& options,
                           const RelationLayer* initial, nn::TrainingReport& report,
                           const ProgressCallback& progress);

  /// relation: may be null where the layer is averaged. [n, out]
  Matrix<float> predict(const relation::SimilarityRelation* relation, const LayerInputs& inputs,
                        int num_threads) const;
  /// z, [n, hidden_size]
  Matrix<float> hidden_layer(const relation::SimilarityRelation* relation,
                             const LayerInputs& inputs, int num_threads) const;

  /// Of the first target of `inputs`.
  Attribution attribute(const relation::SimilarityRelation* relation, const LayerInputs& inputs,
                        Index output) const;

  bool averaged() const { return std::holds_alternative<Network>(form_); }
  /// Only where it is averaged.
  const Network& network() const { return std::get<Network>(form_); }
  /// Only where it is not.
  const GraphNetwork& graph_network() const { return std::get<GraphNetwork>(form_); }
  const nn::Scaler& scaler() const;
  /// Columns of the dense inputs.
  Index in() const { return scaler().size(); }

  void save(io::TensorFile& file, const std::string& prefix) const;
  /// nodes, memories: columns of the representatives' features and of each memory.
  static RelationLayer load(const io::TensorFile& file, const std::string& prefix,
                            const RelationLayerOptions& options, Index nodes,
                            const std::vector<Index>& memories, Index out);

 private:
  explicit RelationLayer(std::variant<Network, GraphNetwork> form) : form_(std::move(form)) {}
  std::variant<Network, GraphNetwork> form_;
};

}  // namespace ecseq::pipeline
