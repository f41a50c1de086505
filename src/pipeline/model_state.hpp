#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ecseq/gnn/input_layout.hpp"
#include "ecseq/pipeline/gate.hpp"
#include "ecseq/pipeline/model.hpp"
#include "ecseq/pipeline/network.hpp"
#include "ecseq/pipeline/relation_layer.hpp"

namespace ecseq::pipeline {

/// Inputs with the outputs they gave when the model was saved; replayed when it is loaded.
struct VerificationCases {
  Matrix<float> events;  ///< of a few sequences, with `stops`; empty without encoder
  std::vector<std::int64_t> stops;
  std::vector<double> times;  ///< of the events, or empty
  Matrix<float> embedding;    ///< [m, h]: what the sequences encode to, or given rows
  LayerInputs inputs;         ///< of the relation layer
  Matrix<float> base;         ///< [m, outputs]
  Matrix<float> outputs;      ///< [m, outputs]
};

/// Everything a fitted model has learned.
struct ModelState {
  ModelOptions options;
  Task task = Task::kBinary;
  int n_classes = 2;
  double target_mean = 0.0;  ///< regression
  double target_std = 1.0;
  Index input_features = 0;

  std::optional<encoders::SequenceEncoder> encoder;
  std::optional<Network> base;  ///< linear, where no encoder has a head that would be the base
  std::optional<relation::SimilarityRelation> similarity;
  std::vector<relation::EntityMemory> entities;
  std::vector<gnn::InputLayout::Block> blocks;  ///< columns of the relation layer's dense input
  RelationLayer layer;                          ///< GNN layers and head
  Gate gate;
  std::map<std::string, Network> controls;
  std::string report;
  VerificationCases verification;

  bool has_encoder_head() const { return encoder && encoder->has_head(); }
  const relation::SimilarityRelation* similar() const {
    return similarity ? &*similarity : nullptr;
  }
  /// The representatives' mean is a block of the dense inputs.
  bool averages() const {
    return !similarity || (options.gnn == "sage_mean" && options.n_layers == 1);
  }
  const gnn::InputLayout::Block& self_block() const { return blocks.front(); }
  /// Only where it averages over a similarity relation.
  const gnn::InputLayout::Block& similarity_block() const { return blocks[1]; }
  const gnn::InputLayout::Block& entity_block(std::size_t e) const {
    return blocks[blocks.size() - entities.size() + e];
  }
  /// Of entity relation e, its place among those whose labels a layer aggregates.
  std::optional<std::size_t> memory_of(std::size_t e) const {
    if (options.entities[e].aggregator == "summary") return {};
    std::size_t place = 0;
    for (std::size_t i = 0; i < e; ++i) place += options.entities[i].aggregator != "summary";
    return place;
  }
  bool learns_memories() const {
    return std::any_of(options.entities.begin(), options.entities.end(),
                       [](const auto& entity) { return entity.aggregator != "summary"; });
  }
  Index n_outputs() const { return task == Task::kMulticlass ? n_classes : 1; }
};

// The steps of a prediction, in order; model.cpp.

/// Throws InvalidArgument where samples do not fit the model.
void require_fit(const ModelState& state, const Samples& samples);
/// [n, h] embeddings, those given where they lie, or what the encoder makes of sequences.
class Embeddings {
 public:
  Embeddings(const ModelState& state, const Samples& samples, int num_threads);
  Embeddings(const Embeddings&) = delete;
  operator MatrixView<float>() const { return all_; }

 private:
  Matrix<float> made_;
  MatrixView<float> all_;
};
/// [n, outputs] from embeddings
Matrix<float> base_outputs(const ModelState& state, MatrixView<float> x, int num_threads);
/// What the relation layer sees: in `dense` self (embedding, base outputs), similarity, entities.
/// labels: of training rows, [n, channels], which must not hear their own; null for others.
LayerInputs relation_inputs(const ModelState& state, MatrixView<float> x, const Matrix<float>& base,
                            const EntityBlocks& entities, int num_threads,
                            const Matrix<float>* labels = nullptr);
/// Head and gate: [n, outputs]
Matrix<float> finish(const ModelState& state, const LayerInputs& inputs, const Matrix<float>& base,
                     int num_threads);
/// Head alone, in the target's units. [n, outputs]
Matrix<float> head_outputs(const ModelState& state, const LayerInputs& inputs, int num_threads);
/// Standardised values to the target's units; classification is left as it is.
Matrix<float> in_target_units(const ModelState& state, Matrix<float> outputs);
/// How the relation layer of these options is built and trained.
RelationLayerOptions layer_options(const ModelState& state);

/// Runs the verification inputs through the model as it is now and keeps the outputs.
VerificationCases make_verification(const ModelState& state, const Samples& samples,
                                    MatrixView<float> embedding, LayerInputs inputs,
                                    const Matrix<float>& base);
/// Throws FileError where a replayed output differs.
void replay_verification(const ModelState& state, const std::string& origin);

}  // namespace ecseq::pipeline
