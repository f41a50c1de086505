#pragma once

#include <span>
#include <string>
#include <vector>

#include "ecseq/gnn/backbone.hpp"
#include "ecseq/gnn/memory_layer.hpp"
#include "ecseq/io/safetensors.hpp"
#include "ecseq/nn/dense_layers.hpp"
#include "ecseq/nn/scaler.hpp"
#include "ecseq/pipeline/attribution.hpp"
#include "ecseq/pipeline/layer_inputs.hpp"
#include "ecseq/pipeline/supervision.hpp"
#include "ecseq/relation/similarity_relation.hpp"

namespace ecseq::pipeline {

/// What a graph network is.
struct GraphNetworkOptions {
  gnn::BackboneOptions backbone;
  Index hidden_size = 32;   ///< columns of the graph layers
  std::vector<Index> head;  ///< sizes of the head's hidden layers; none for a linear head
  bool standardize = true;  ///< inputs and nodes to mean 0 and variance 1
  double input_dropout = 0.0;
  double dropout = 0.0;                          ///< of hidden layers
  bool on_edges = true;                          ///< without: no graph layer but that over memories
  std::vector<gnn::MemoryAggregation> memories;  ///< of LayerInputs::recent
};

/// Graph layers over targets and representatives, and a head, on a tape:
///   z = act(G(target, what it hears) + W dense),   y = head(z)
/// where G takes the dense inputs as the target's own features if it knows any ("sage",
/// "attention": then W is part of G), see gnn::Backbone. What is remembered of entities label by
/// label goes through a gnn::MemoryLayer each and joins the dense inputs. The representatives are
/// constants while it trains.
class GraphNetwork {
 public:
  /// Columns that a memory becomes.
  static constexpr Index kMemorySize = 16;

  GraphNetwork() = default;
  /// nodes: empty without on_edges; memories: the scaler of each memory's rows; parameters: none
  /// yet, perhaps of a file (nn::Parameters::of_file).
  GraphNetwork(const GraphNetworkOptions& options, nn::Scaler dense, nn::Scaler nodes,
               std::vector<nn::Scaler> memories, Index out, Rng& rng,
               nn::Parameters<float> parameters = {});

  Index in() const { return dense_scaler_.size(); }
  const nn::Scaler& scaler() const { return dense_scaler_; }
  const nn::Scaler& node_scaler() const { return node_scaler_; }
  const std::vector<nn::Scaler>& memory_scalers() const { return memory_scalers_; }
  const GraphNetworkOptions& options() const { return options_; }
  nn::Parameters<float>& parameters() { return parameters_; }
  const nn::Parameters<float>& parameters() const { return parameters_; }

  /// [rows, out] on the tape. dense: already standardised; `inputs` gives the rest.
  autograd::Variable<float> forward(const nn::BoundParameters<float>& bound,
                                    const relation::SimilarityRelation* relation,
                                    const Matrix<float>& dense, const LayerInputs& inputs,
                                    std::span<const Index> rows, bool training, Rng& rng) const;

  /// [n, out]. A row's bits do not depend on the other rows or the threads.
  Matrix<float> predict(const relation::SimilarityRelation* relation, const LayerInputs& inputs,
                        int num_threads) const;
  /// The graph layers' output z, [n, hidden_size].
  Matrix<float> hidden_layer(const relation::SimilarityRelation* relation,
                             const LayerInputs& inputs, int num_threads) const;

  /// Of the first target of `inputs`.
  Attribution attribute(const relation::SimilarityRelation* relation, const LayerInputs& inputs,
                        Index output) const;

  void save(io::TensorFile& file, const std::string& prefix) const;
  /// nodes, memories: columns of the representatives' features and of each memory. Throws FileError
  /// where something is missing or does not fit.
  static GraphNetwork load(const io::TensorFile& file, const std::string& prefix,
                           const GraphNetworkOptions& options, Index nodes,
                           const std::vector<Index>& memories, Index out);

 private:
  /// Everything a target sees on a tape.
  struct Input {
    gnn::BackboneInput<float> graph;
    struct Memory {
      autograd::Variable<float> rows;
      std::span<const Index> offsets;
    };
    std::vector<Memory> memories;
  };
  Input input_of(autograd::Tape<float>& tape, const relation::SimilarityRelation* relation,
                 const Matrix<float>& dense, const LayerInputs& inputs,
                 std::span<const Index> rows) const;
  autograd::Variable<float> graph_layers(const nn::BoundParameters<float>& bound,
                                         const Input& input, bool training, Rng& rng) const;
  template <class Rows>
  Matrix<float> over_chunks(const LayerInputs& inputs, Index columns, int num_threads,
                            const Rows& rows) const;

  GraphNetworkOptions options_;
  nn::Scaler dense_scaler_, node_scaler_;
  std::vector<nn::Scaler> memory_scalers_;
  nn::Parameters<float> parameters_;
  std::vector<gnn::Backbone<float>> backbone_;  ///< one, or none
  std::vector<gnn::MemoryLayer<float>> memories_;
  int dense_weight_ = -1;  ///< where the backbone does not take the dense inputs
  nn::DenseLayers<float> head_;
};

/// What a graph network is trained on.
struct GraphTraining {
  const relation::SimilarityRelation* relation;
  const LayerInputs* training;
  Supervision supervision;
  const LayerInputs* validation;
  const Targets* y_validation;  ///< regression: standardised as the channels are
};

/// Trains a graph network, from scratch or from `initial` where that is not null. Throws
/// Interrupted where the callback says so.
GraphNetwork fit_graph_network(const GraphTraining& problem, const GraphNetworkOptions& options,
                               const GraphNetwork* initial, const nn::TrainingOptions& training,
                               nn::TrainingReport& report, const ProgressCallback& progress);

}  // namespace ecseq::pipeline
