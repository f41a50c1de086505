#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "ecseq/compress/quantile_groups.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/pipeline/linear.hpp"
#include "ecseq/pipeline/metrics.hpp"
#include "encoder_tuning.hpp"
#include "entity_inputs.hpp"
#include "model_state.hpp"

namespace ecseq::pipeline {
namespace {

using nlohmann::json;

constexpr int kQuantileBins = 5;
constexpr Index kVerificationRows = 8;

/// Seconds per stage, in the order they were first entered.
class StageClock {
 public:
  void finish(const std::string& stage) {
    const auto now = std::chrono::steady_clock::now();
    seconds_[stage] = std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }
  json report() const {
    json out = seconds_;
    double total = 0.0;
    for (const auto& [stage, seconds] : seconds_) total += seconds;
    out["total"] = total;
    return out;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::map<std::string, double> seconds_;
};

void require_share(const char* name, double value) {
  if (!(value >= 0.0 && value < 1.0)) {
    throw InvalidArgument(std::string(name) + ": expected a number in [0, 1), got " +
                          std::to_string(value));
  }
}

void require_options(const ModelOptions& options, const Targets& y) {
  require_one_of("gnn", options.gnn, {"sage_mean", "sage_max", "gcn", "gat", "attention"});
  if (options.n_layers != 1 && options.n_layers != 2) {
    throw InvalidArgument("n_layers: expected 1 or 2, got " + std::to_string(options.n_layers));
  }
  nn::activation_named(options.activation);
  require_loss(options.loss, y.task);
  if (!options.embedding && !options.residual) {
    throw InvalidArgument("embedding, residual: the relation layer needs one of both");
  }
  require_one_of("selection", options.selection, {"auto", "auc", "ap", "loss"});
  require_one_of("mode", options.mode, {"targets", "compressed", "joint", "pretrain"});
  if (options.similarity) relation::validate(*options.similarity);
  if (options.mode != "targets" && !options.similarity) {
    throw InvalidArgument("mode: '" + options.mode +
                          "' trains on similarity representatives, but relations has none");
  }
  for (const auto& entity : options.entities) {
    require_one_of("aggregator", entity.aggregator, {"summary", "gru", "gnn"});
    if (entity.aggregator == "summary") continue;
    if (entity.set || !entity.timed) {
      throw InvalidArgument("aggregator: '" + entity.aggregator + "' of '" + entity.by +
                            "' takes one entity per row and times");
    }
    if (options.mode != "targets") {
      throw InvalidArgument("aggregator: '" + entity.aggregator +
                            "' remembers labels of targets; mode must be 'targets'");
    }
  }
  if (!options.similarity && options.entities.empty()) {
    throw InvalidArgument("relations: expected at least one relation");
  }
  require_at_least("hidden_size", options.hidden_size, 1);
  for (const Index size : options.head) require_at_least("head", size, 1);
  const bool has_heads = options.gnn == "gat" || options.gnn == "attention";
  require_at_least("heads", options.heads, 1);
  if (has_heads && options.hidden_size % options.heads != 0) {
    throw InvalidArgument(
        "heads: expected a divisor of hidden_size = " + std::to_string(options.hidden_size) +
        ", got " + std::to_string(options.heads));
  }
  require_share("dropout", options.dropout);
  require_share("input_dropout", options.input_dropout);
  require_share("attention_dropout", options.attention_dropout);
  require_at_least("max_epochs", options.training.max_epochs, 1);
  require_at_least("patience", options.training.patience, 1);
  if (!(options.training.learning_rate > 0.0)) {
    throw InvalidArgument("learning_rate: expected a positive number, got " +
                          std::to_string(options.training.learning_rate));
  }
  if (!options.class_weight.empty() &&
      options.class_weight.size() != static_cast<std::size_t>(y.n_classes)) {
    throw InvalidArgument("class_weight: expected " + std::to_string(y.n_classes) +
                          " weights, one per class, got " +
                          std::to_string(options.class_weight.size()));
  }
}

Targets standardised(const Targets& y, double mean, double std) {
  if (y.task != Task::kRegression) return y;
  Targets out = y;
  for (float& value : out.values) value = static_cast<float>((value - mean) / std);
  return out;
}

/// [n] row weights of mean 1, or empty where no class weights are given.
std::vector<float> row_weights(const Targets& y, const std::vector<float>& class_weight) {
  if (class_weight.empty() || y.task == Task::kRegression) return {};
  std::vector<float> out;
  double sum = 0.0;
  for (const float value : y.values) {
    out.push_back(class_weight[static_cast<std::size_t>(value)]);
    sum += out.back();
  }
  for (float& w : out) w = static_cast<float>(w * static_cast<double>(out.size()) / sum);
  return out;
}

/// Class of each row, or the quantile bin of a regression target.
std::vector<int> groups_of(const Targets& y) {
  if (y.task == Task::kRegression) return compress::quantile_groups(y.values, kQuantileBins);
  std::vector<int> out;
  for (const float value : y.values) out.push_back(static_cast<int>(value));
  return out;
}

void lay_out_blocks(ModelState& state, Index embedding_size) {
  gnn::SageMean layout;
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

json curve_of(const nn::TrainingReport& report) {
  json curve = json::array();
  for (std::size_t i = 0; i < report.epochs.size(); ++i) {
    const auto& epoch = report.epochs[i];
    curve.push_back({{"epoch", i + 1},
                     {"training_loss", epoch.training_loss},
                     {"validation_loss", epoch.validation_loss},
                     {"validation_score", epoch.validation_score}});
  }
  return curve;
}

/// Trains the relation layer in the mode asked for.
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

void require_training_samples(const ModelState& state, const Samples& samples, const Targets& y,
                              const char* part) {
  if (samples.size() < 1) {
    throw InvalidArgument(std::string("X: the ") + part + " part has no rows (n_samples = 0)");
  }
  require_fit(state, samples);
  if (y.size() != samples.size()) {
    throw InvalidArgument("y: expected " + std::to_string(samples.size()) +
                          " labels, one per row of X, got " + std::to_string(y.size()));
  }
}

/// What tuned_encoder would refuse, before any work.
void require_tunable(const ModelOptions& options, const ModelState& state) {
  const bool fits = state.has_encoder_head() && options.similarity &&
                    options.similarity->attach == "knn" && options.gnn == "sage_mean" &&
                    options.n_layers == 1 && options.own_head && options.embedding &&
                    !state.learns_memories();
  if (!fits) {
    throw InvalidArgument(
        "tune_encoder: goes from an encoder with a head through one layer of 'sage_mean', attached "
        "by 'knn' to representatives by similarity, with the built-in head");
  }
}

void require_unlabelled(const ModelState& state, const Samples& samples) {
  if (!state.options.similarity) {
    throw InvalidArgument(
        "X_unlabeled: rows without labels help a similarity relation only, but relations has none");
  }
  Samples rows = samples;  // entities and times of rows without labels say nothing
  ModelState alone;
  alone.encoder = state.encoder;
  alone.input_features = state.input_features;
  require_fit(alone, rows);
}

}  // namespace

Model Model::fit(const Samples& training, const Targets& y, const Samples& validation,
                 const Targets& y_validation, const ModelOptions& options,
                 std::optional<encoders::SequenceEncoder> encoder, const ProgressCallback& progress,
                 const Samples* unlabelled, FitDetails* details) {
  auto owned = std::make_unique<ModelState>();
  ModelState& state = *owned;
  state.options = options;
  state.task = y.task;
  state.n_classes = y.n_classes;
  state.encoder = std::move(encoder);
  if (!state.encoder && training.sequences) {
    throw InvalidArgument("encoder: sequences need one; fit a SequenceEncoder first");
  }
  if (state.has_encoder_head() &&
      (state.encoder->task() != y.task || state.encoder->n_classes() != y.n_classes)) {
    throw InvalidArgument(
        "encoder: its head was trained for another task or number of classes than y");
  }
  state.input_features = state.encoder ? state.encoder->input_features() : training.embedding.cols;
  for (auto& entity : state.options.entities) entity.timed = !training.times.empty();
  require_options(state.options, y);
  require_training_samples(state, training, y, "training");
  require_training_samples(state, validation, y_validation, "validation");
  if (training.base.rows > 0) {
    if (training.base.rows != training.size() || training.base.cols != state.n_outputs()) {
      throw InvalidArgument("base: expected shape [" + std::to_string(training.size()) + ", " +
                            std::to_string(state.n_outputs()) + "], one row per training row");
    }
    require_finite(training.base, "base");
  }
  if (unlabelled != nullptr) require_unlabelled(state, *unlabelled);
  if (options.tune_encoder) require_tunable(options, state);
  validate(y, training.size());

  const nn::TrainingOptions& trained = options.training;
  const int threads = resolve_threads(trained.num_threads);
  StageClock clock;
  if (y.task == Task::kRegression) {
    const double n = static_cast<double>(y.size());
    state.target_mean = std::accumulate(y.values.begin(), y.values.end(), 0.0) / n;
    double square = 0.0;
    for (const float value : y.values) square += std::pow(value - state.target_mean, 2);
    state.target_std = square > 0.0 ? std::sqrt(square / n) : 1.0;
  }
  const auto channels = relation::label_channels(y, state.target_mean, state.target_std);
  const Matrix<float> validation_channels =
      relation::label_channels(y_validation, state.target_mean, state.target_std).values;
  const Targets y_standard = standardised(y_validation, state.target_mean, state.target_std);
  const std::vector<float> weights = row_weights(y, options.class_weight);

  ecseq::report(progress, {"embed", 0, 1, ""});
  const Matrix<float> x = embed(state, training, threads);
  const Matrix<float> x_validation = embed(state, validation, threads);

  // After the rows with labels come those without.
  Matrix<float> all = x;
  if (unlabelled != nullptr) {
    all.conservativeResize(x.rows() + unlabelled->size(), Eigen::NoChange);
    all.bottomRows(unlabelled->size()) = embed(state, *unlabelled, threads);
  }
  clock.finish("embed");

  const TrainingSet on_embedding{x, channels.values, weights.empty() ? nullptr : weights.data()};
  if (!state.has_encoder_head()) state.base = fit_linear(on_embedding, y.task, threads, progress);
  const bool given = training.base.rows > 0;
  const Matrix<float> base =
      given ? Matrix<float>(training.base.eigen()) : base_outputs(state, x, threads);
  const Matrix<float> base_validation = base_outputs(state, x_validation, threads);
  clock.finish("base");

  if (options.similarity) {
    relation::SimilarityOptions similar = *options.similarity;
    similar.edges_among = similar.edges_among || options.n_layers == 2;
    state.similarity.emplace(all, channels, y.task, groups_of(y), similar, trained.seed, threads,
                             progress);
  }
  clock.finish("compress");

  const EntityInputs entities =
      build_entities(state, {training, channels.values, base},
                     {validation, validation_channels, base_validation}, channels.prior, threads);
  clock.finish("entities");

  lay_out_blocks(state, x.cols());
  ecseq::report(progress, {"attach", 0, 1, ""});
  const LayerInputs inputs =
      relation_inputs(state, x, base, entities.training, threads, &channels.values);
  const LayerInputs inputs_validation =
      relation_inputs(state, x_validation, base_validation, entities.validation, threads);
  const double isolation =
      state.similarity && state.similarity->options().attach != "knn"
          ? static_cast<double>(state.similarity->attach(x_validation, threads).isolated) /
                static_cast<double>(x_validation.rows())
          : 0.0;
  clock.finish("attach");

  nn::TrainingReport layer_report;
  state.options.training.stage = "gnn";
  const std::vector<float> layer_weights = informed_weights(state, training, weights);
  const auto warm_up = std::count(layer_weights.begin(), layer_weights.end(), 0.0f) -
                       std::count(weights.begin(), weights.end(), 0.0f);
  if (details != nullptr) {
    if (!options.own_head) *details = {inputs.dense, inputs_validation.dense, {}, {}};
    for (Index i = 0; i < training.size(); ++i) {
      const bool weighs = warm_up == 0 || layer_weights[static_cast<std::size_t>(i)] > 0.0f;
      if (weighs) details->rows.push_back(i);
    }
  }
  if (options.own_head) {
    state.layer = fit_layer(state, inputs, channels.values, layer_weights, inputs_validation,
                            y_standard, layer_report, progress);
  }
  if (state.similarity) state.similarity->finish_training(training.row_numbers);
  clock.finish("gnn");

  if (options.own_head) {
    state.gate = options.gate
                     ? fit_gate(base_validation, head_outputs(state, inputs_validation, threads),
                                y_validation, row_weights(y_validation, options.class_weight))
                     : Gate{true, 0.0, 1.0, 0.0};
  }
  clock.finish("gate");

  if (options.controls) {
    state.controls["logistic_regression"] =
        state.base ? *state.base : fit_linear(on_embedding, y.task, threads, progress);
    nn::TrainingReport unused;
    NetworkOptions control;
    control.hidden = {options.hidden_size};
    control.dropout = options.dropout;
    control.training = trained;
    control.training.stage = "mlp (control)";
    state.controls["mlp"] =
        fit_network(on_embedding, {x_validation, &y_standard}, y.task, control, unused, progress);
  }
  clock.finish("controls");

  json metrics_report;
  metrics_report["base"] = metrics(base_validation, y_validation);
  const Matrix<float> outputs = finish(state, inputs_validation, base_validation, threads);
  if (details != nullptr && options.own_head) details->validation_outputs = outputs;
  metrics_report["ecseq"] = metrics(outputs, y_validation);
  for (const auto& [name, control] : state.controls) {
    metrics_report[name] =
        metrics(in_target_units(state, control.predict(x_validation, threads)), y_validation);
  }
  json out;
  out["task"] = y.task == Task::kBinary       ? "binary"
                : y.task == Task::kMulticlass ? "multiclass"
                                              : "regression";
  out["n_training"] = training.size();
  out["n_validation"] = validation.size();
  out["base"] = state.has_encoder_head()      ? "encoder head"
                : y.task == Task::kRegression ? "linear regression"
                                              : "logistic regression";
  if (state.similarity) {
    const auto& compression = state.similarity->report();
    out["n_representatives"] = state.similarity->representatives().size();
    out["compression"] = {{"requested", compression.requested},
                          {"iterations", compression.iterations},
                          {"objective", compression.objective},
                          {"points_used", compression.points_used},
                          {"note", compression.note}};
  } else {
    out["n_representatives"] = 0;
  }
  json known = json::object();
  for (std::size_t e = 0; e < state.entities.size(); ++e) {
    known[state.options.entities[e].by] = state.entities[e].size();
  }
  out["n_entities"] = known;
  out["warm_up_rows"] = warm_up;
  out["isolation_rate"] = isolation;
  out["seconds"] = clock.report();
  out["curve"] = curve_of(layer_report);
  out["best_epoch"] = layer_report.best_epoch + 1;
  out["stop_reason"] = layer_report.stop_reason;
  out["gate"] = {{"choice", !options.gate        ? "none"
                            : state.gate.stacked ? "stacked"
                                                 : "base"},
                 {"base_weight", state.gate.base_weight},
                 {"head_weight", state.gate.head_weight},
                 {"bias", state.gate.bias}};
  out["validation"] = metrics_report;
  state.report = out.dump();

  const Index m = std::min(kVerificationRows, validation.size());
  state.verification =
      make_verification(state, validation, {x_validation.data(), m, x_validation.cols()},
                        slice(inputs_validation, 0, m), base_validation.topRows(m));
  if (!options.tune_encoder) return Model(std::move(owned));

  const double score = selection_score(outputs, y_validation, options.selection);
  const std::vector<int> groups = groups_of(y);
  encoders::SequenceEncoder tuned =
      tuned_encoder(state,
                    {training, channels, weights, groups, entities.training, validation,
                     entities.validation, y_standard},
                    progress);
  ModelOptions rest = options;
  rest.tune_encoder = false;
  FitDetails again_details;
  Model again = fit(training, y, validation, y_validation, rest, std::move(tuned), progress,
                    unlabelled, &again_details);
  const double tuned_score =
      selection_score(again_details.validation_outputs, y_validation, options.selection);
  Model before(std::move(owned));
  const bool better = tuned_score > score;
  Model& chosen = better ? again : before;
  if (better && details != nullptr) *details = std::move(again_details);
  json report = json::parse(chosen.state_->report);
  report["tuning"] = {
      {"choice", better ? "tuned" : "as it was"}, {"score", score}, {"tuned_score", tuned_score}};
  chosen.state_->report = report.dump();
  chosen.state_->options.tune_encoder = better;
  return std::move(chosen);
}

}  // namespace ecseq::pipeline
