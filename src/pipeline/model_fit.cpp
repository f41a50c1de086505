#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "ecseq/compress/quantile_groups.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/core/stopwatch.hpp"
#include "ecseq/pipeline/linear.hpp"
#include "ecseq/pipeline/metrics.hpp"
#include "encoder_tuning.hpp"
#include "entity_inputs.hpp"
#include "fit_layer.hpp"
#include "fit_requirements.hpp"
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
    seconds_[stage] = stage_.seconds();
    stage_ = Stopwatch();
  }
  json report() const {
    json out = seconds_;
    double total = 0.0;
    for (const auto& [stage, seconds] : seconds_) total += seconds;
    out["total"] = total;
    return out;
  }

 private:
  Stopwatch stage_;
  std::map<std::string, double> seconds_;
};

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

/// The rows of `first`, then those of `last`.
Matrix<float> stack(MatrixView<float> first, MatrixView<float> last) {
  Matrix<float> out(first.rows + last.rows, first.cols);
  out << first.eigen(), last.eigen();
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
  const Embeddings training_embeddings(state, training, threads);
  const Embeddings validation_embeddings(state, validation, threads);
  const MatrixView<float> x = training_embeddings, x_validation = validation_embeddings;

  // After the rows with labels come those without.
  Matrix<float> stacked;
  if (unlabelled != nullptr) stacked = stack(x, Embeddings(state, *unlabelled, threads));
  const MatrixView<float> all = unlabelled != nullptr ? MatrixView<float>(stacked) : x;
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

  lay_out_blocks(state, x.cols);
  ecseq::report(progress, {"attach", 0, 1, ""});
  const LayerInputs inputs =
      relation_inputs(state, x, base, entities.training, threads, &channels.values);
  const LayerInputs inputs_validation =
      relation_inputs(state, x_validation, base_validation, entities.validation, threads);
  const double isolation =
      static_cast<double>(inputs_validation.isolated) / static_cast<double>(x_validation.rows);
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
      make_verification(state, validation, {x_validation.data, m, x_validation.cols},
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
