#include "ecseq/pipeline/model.hpp"

#include <algorithm>
#include <cmath>

#include "ecseq/core/columns_text.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/pipeline/metrics.hpp"
#include "entity_inputs.hpp"
#include "model_state.hpp"

namespace ecseq::pipeline {
namespace {

/// Rows whose layer inputs are held at once: memory stays O(n h) for any n.
constexpr Index kBlock = 1 << 14;

/// A copy of rows [begin, end) of a matrix.
Matrix<float> middle_rows(const Matrix<float>& x, Index begin, Index end) {
  return x.middleRows(begin, end - begin);
}

void require_labelled(const ModelState& state, const Samples& samples, const Targets& y) {
  require_fit(state, samples);
  if (y.size() != samples.size()) {
    throw InvalidArgument("y: expected " + std::to_string(samples.size()) +
                          " labels, one per row, got " + std::to_string(y.size()));
  }
}

void require_averages(const ModelState& state) {
  if (state.averages() && !state.learns_memories()) return;
  throw InvalidArgument(
      "head: one of one's own sees averages and summaries, that is one layer of 'sage_mean' and "
      "aggregator='summary'");
}

void require_timed(const ModelState& state) {
  for (const auto& options : state.options.entities) {
    if (!options.timed) {
      throw InvalidArgument("times: replay needs them, but the relation by '" + options.by +
                            "' was fitted without");
    }
  }
}

/// Applies head and gate to blocks of rows and stacks the results.
Matrix<float> decide_blocks(const ModelState& state, MatrixView<float> x, const Matrix<float>& base,
                            const EntityBlocks& entities, int num_threads) {
  Matrix<float> out(x.rows, state.n_outputs());
  for (Index begin = 0; begin < x.rows; begin += kBlock) {
    const Index end = std::min(x.rows, begin + kBlock);
    const EntityBlocks part = slice(entities, begin, end);
    const Matrix<float> part_base = middle_rows(base, begin, end);
    const LayerInputs inputs =
        relation_inputs(state, {x.row(begin), end - begin, x.cols}, part_base, part, num_threads);
    out.middleRows(begin, end - begin) = finish(state, inputs, part_base, num_threads);
  }
  return out;
}

}  // namespace

void require_fit(const ModelState& state, const Samples& samples) {
  if (state.encoder && samples.encoded) {
    if (samples.embedding.cols != state.encoder->embedding_size()) {
      throw InvalidArgument("embedding: expected " + columns_text(state.encoder->embedding_size()) +
                            ", got " + columns_text(samples.embedding.cols));
    }
  } else if (state.encoder) {
    if (!samples.sequences) {
      throw InvalidArgument(
          "X: this model was fitted on sequences and has an encoder; got a matrix");
    }
    validate(*samples.sequences);
    if (samples.sequences->features() != state.input_features) {
      throw InvalidArgument("X: events have " + columns_text(samples.sequences->features()) +
                            ", the model was fitted on " + columns_text(state.input_features));
    }
  } else {
    if (samples.sequences) {
      throw InvalidArgument("X: this model was fitted on embeddings; got sequences");
    }
    if (samples.embedding.cols != state.input_features) {
      throw InvalidArgument("X has " + std::to_string(samples.embedding.cols) +
                            " features, but the model is expecting " +
                            std::to_string(state.input_features) + " features as input");
    }
    require_finite(samples.embedding, "X");
  }
  const auto n = static_cast<std::size_t>(samples.size());
  for (const auto& options : state.options.entities) {
    entity_column(samples, options);
    if (options.timed && samples.times.empty()) {
      throw InvalidArgument(
          "times: the model's entity relations were fitted with times; say as of when to score");
    }
  }
  if (!samples.times.empty() && samples.times.size() != n) {
    throw InvalidArgument("times: expected " + std::to_string(n) + " values, one per row, got " +
                          std::to_string(samples.times.size()));
  }
  for (std::size_t i = 0; i < samples.times.size(); ++i) {
    if (!std::isfinite(samples.times[i])) {
      throw InvalidArgument("times: value at row " + std::to_string(i) + " is not finite");
    }
  }
}

Embeddings::Embeddings(const ModelState& state, const Samples& samples, int num_threads)
    : all_(samples.embedding) {
  if (!state.encoder || samples.encoded) return;
  made_ = state.encoder->encode(*samples.sequences, num_threads);
  all_ = made_;
}

Matrix<float> in_target_units(const ModelState& state, Matrix<float> outputs) {
  if (state.task == Task::kRegression) {
    for (Index i = 0; i < outputs.size(); ++i) {
      outputs.data()[i] =
          static_cast<float>(outputs.data()[i] * state.target_std + state.target_mean);
    }
  }
  return outputs;
}

Matrix<float> base_outputs(const ModelState& state, MatrixView<float> x, int num_threads) {
  if (state.has_encoder_head()) return state.encoder->decide(x);
  return in_target_units(state, state.base->predict(x, num_threads));
}

RelationLayerOptions layer_options(const ModelState& state) {
  const ModelOptions& options = state.options;
  RelationLayerOptions out;
  out.averaged = state.averages() && !state.learns_memories();
  out.graph.on_edges = !state.averages();
  for (const auto& entity : options.entities) {
    if (entity.aggregator == "summary") continue;
    out.graph.memories.push_back(entity.aggregator == "gru" ? gnn::MemoryAggregation::kGru
                                                            : gnn::MemoryAggregation::kGnn);
  }
  out.graph.backbone.kind = options.gnn;
  out.graph.backbone.n_layers = options.n_layers;
  out.graph.backbone.heads = options.heads;
  out.graph.backbone.activation = nn::activation_named(options.activation);
  out.graph.backbone.dropout = options.attention_dropout;
  out.graph.hidden_size = options.hidden_size;
  out.graph.head = options.head;
  out.graph.standardize = options.standardize;
  out.graph.input_dropout = options.input_dropout;
  out.graph.dropout = options.dropout;
  out.training = options.training;
  return out;
}

LayerInputs relation_inputs(const ModelState& state, MatrixView<float> x, const Matrix<float>& base,
                            const EntityBlocks& entities, int num_threads,
                            const Matrix<float>* labels) {
  LayerInputs inputs;
  Matrix<float>& dense = inputs.dense;
  const auto& last = state.blocks.back();
  dense.resize(x.rows, last.begin + last.size);
  Index own = state.self_block().size;
  if (state.options.residual) dense.middleCols(own -= base.cols(), base.cols()) = base;
  if (own > 0) dense.leftCols(own) = x.eigen();
  if (state.similarity) {
    const auto& relation = *state.similarity;
    inputs.attachments = labels ? relation.attach_training(x, *labels, num_threads)
                                : relation.attach(x, num_threads);
    inputs.isolated = inputs.attachments.isolated;
    if (state.averages()) {
      const auto& block = state.similarity_block();
      relation.aggregate(inputs.attachments, dense.data() + block.begin, dense.cols(), num_threads);
      inputs.attachments = {};
    } else if (gnn::Backbone<float>::has_nodes_of_one_kind(state.options.gnn)) {
      inputs.node.resize(x.rows, relation.n_features());
      for (Index i = 0; i < x.rows; ++i) relation.as_node(x.row(i), inputs.node.row(i).data());
    }
  }
  for (std::size_t e = 0; e < entities.facts.size(); ++e) {
    const auto& block = state.entity_block(e);
    dense.middleCols(block.begin, block.size) = entities.facts[e];
  }
  inputs.recent = entities.recent;
  return inputs;
}

Matrix<float> head_outputs(const ModelState& state, const LayerInputs& inputs, int num_threads) {
  if (!state.options.own_head) {
    throw InvalidArgument("head: this model's is the caller's own; give it what `inputs` returns");
  }
  return in_target_units(state, state.layer.predict(state.similar(), inputs, num_threads));
}

Matrix<float> finish(const ModelState& state, const LayerInputs& inputs, const Matrix<float>& base,
                     int num_threads) {
  if (!state.gate.stacked) return base;
  return state.gate.apply(base, head_outputs(state, inputs, num_threads));
}

Model::Model(std::unique_ptr<ModelState> state) : state_(std::move(state)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::Model(const Model& other) : state_(std::make_unique<ModelState>(*other.state_)) {}
Model& Model::operator=(const Model& other) {
  state_ = std::make_unique<ModelState>(*other.state_);
  return *this;
}
Model::~Model() = default;

Matrix<float> Model::decide(const Samples& samples, int num_threads) const {
  require_fit(*state_, samples);
  const Embeddings embeddings(*state_, samples, num_threads);
  const MatrixView<float> x = embeddings;
  const Matrix<float> base = base_outputs(*state_, x, num_threads);
  const auto entities = entity_features(*state_, samples, num_threads);
  return decide_blocks(*state_, x, base, entities, num_threads);
}

Matrix<float> Model::predict(const Samples& samples, int num_threads) const {
  Matrix<float> outputs = decide(samples, num_threads);
  if (state_->task == Task::kRegression) return outputs;
  return probabilities(state_->task, outputs);
}

Matrix<float> Model::transform(const Samples& samples, int num_threads) const {
  require_fit(*state_, samples);
  const Embeddings embeddings(*state_, samples, num_threads);
  const MatrixView<float> x = embeddings;
  const Matrix<float> base = base_outputs(*state_, x, num_threads);
  const auto entities = entity_features(*state_, samples, num_threads);
  const LayerInputs inputs = relation_inputs(*state_, x, base, entities, num_threads);
  return state_->layer.hidden_layer(state_->similar(), inputs, num_threads);
}

Matrix<float> Model::base(const Samples& samples, int num_threads) const {
  require_fit(*state_, samples);
  return base_outputs(*state_, Embeddings(*state_, samples, num_threads), num_threads);
}

Matrix<float> Model::control(const Samples& samples, const std::string& name,
                             int num_threads) const {
  require_fit(*state_, samples);
  const auto found = state_->controls.find(name);
  if (found == state_->controls.end()) {
    throw InvalidArgument("name: '" + name + "' is not one of the model's controls: " +
                          (state_->controls.empty() ? "it has none (controls=False)"
                                                    : "'logistic_regression', 'mlp'"));
  }
  const Embeddings embeddings(*state_, samples, num_threads);
  const MatrixView<float> x = embeddings;
  return in_target_units(*state_, found->second.predict(x, num_threads));
}

Matrix<float> Model::replay(const Samples& samples, const Targets& y, int num_threads) const {
  require_labelled(*state_, samples, y);
  require_timed(*state_);
  const Embeddings embeddings(*state_, samples, num_threads);
  const MatrixView<float> x = embeddings;
  const Matrix<float> base = base_outputs(*state_, x, num_threads);
  const auto channels = relation::label_channels(y, state_->target_mean, state_->target_std).values;
  const auto entities = replay_entities(*state_, {samples, channels, base}, num_threads);
  return decide_blocks(*state_, x, base, entities, num_threads);
}

Matrix<float> Model::inputs(const Samples& samples, int num_threads) const {
  require_fit(*state_, samples);
  require_averages(*state_);
  const Embeddings embeddings(*state_, samples, num_threads);
  const MatrixView<float> x = embeddings;
  const Matrix<float> base = base_outputs(*state_, x, num_threads);
  return relation_inputs(*state_, x, base, entity_features(*state_, samples, num_threads),
                         num_threads)
      .dense;
}

Matrix<float> Model::replay_inputs(const Samples& samples, const Targets& y,
                                   int num_threads) const {
  require_labelled(*state_, samples, y);
  require_timed(*state_);
  require_averages(*state_);
  const Embeddings embeddings(*state_, samples, num_threads);
  const MatrixView<float> x = embeddings;
  const Matrix<float> base = base_outputs(*state_, x, num_threads);
  const auto channels = relation::label_channels(y, state_->target_mean, state_->target_std).values;
  return relation_inputs(*state_, x, base,
                         replay_entities(*state_, {samples, channels, base}, num_threads),
                         num_threads)
      .dense;
}

void Model::fit_gate_of(const Matrix<float>& base, const Matrix<float>& head, const Targets& y) {
  const Index outputs = state_->n_outputs();
  if (base.rows() != y.size() || head.rows() != y.size() || base.cols() != outputs ||
      head.cols() != outputs) {
    throw InvalidArgument("head: expected outputs of shape [" + std::to_string(y.size()) + ", " +
                          std::to_string(outputs) + "]");
  }
  state_->gate = state_->options.gate ? fit_gate(base, head, y) : Gate{true, 0.0, 1.0, 0.0};
}

Matrix<float> Model::gated(const Matrix<float>& base, const Matrix<float>& head) const {
  return state_->gate.apply(base, head);
}

std::optional<compress::Drift> Model::observe(const Samples& samples, const Targets& y,
                                              int num_threads) {
  require_labelled(*state_, samples, y);
  const auto channels = relation::label_channels(y, state_->target_mean, state_->target_std).values;
  const Embeddings embeddings(*state_, samples, num_threads);
  const MatrixView<float> x = embeddings;
  const Matrix<float> base = base_outputs(*state_, x, num_threads);
  std::optional<compress::Drift> drift;
  auto similarity = state_->similarity;
  if (similarity && similarity->options().compressor != "none") {
    drift = similarity->update(x, channels, num_threads);
  }
  observe_entities(*state_, {samples, channels, base}, num_threads);
  state_->similarity = std::move(similarity);
  return drift;
}

void Model::require_fitting(const Samples& samples) const { require_fit(*state_, samples); }
const Gate& Model::gate() const { return state_->gate; }
Task Model::task() const { return state_->task; }
int Model::n_classes() const { return state_->n_classes; }
Index Model::input_features() const { return state_->input_features; }
double Model::target_mean() const { return state_->target_mean; }
double Model::target_std() const { return state_->target_std; }
const ModelOptions& Model::options() const { return state_->options; }
const std::optional<encoders::SequenceEncoder>& Model::encoder() const { return state_->encoder; }
const relation::SimilarityRelation* Model::similarity() const {
  return state_->similarity ? &*state_->similarity : nullptr;
}
const std::vector<relation::EntityMemory>& Model::entities() const { return state_->entities; }
const std::vector<gnn::InputLayout::Block>& Model::input_blocks() const { return state_->blocks; }
const RelationLayer& Model::layer() const { return state_->layer; }
const Network* Model::base_network() const { return state_->base ? &*state_->base : nullptr; }
const std::string& Model::report() const { return state_->report; }
void Model::set_metadata(std::string text) { state_->options.metadata = std::move(text); }

}  // namespace ecseq::pipeline
