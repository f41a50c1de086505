#include <algorithm>
#include <chrono>
#include <memory>

#include "forecaster_data.hpp"
#include "forecaster_report.hpp"
#include "forecaster_training.hpp"

namespace ecseq::pipeline {
namespace {

using nlohmann::json;

/// What the nodes of all training moments may take, in floats: a GiB.
constexpr Index kNodeMemory = Index{1} << 28;

}  // namespace

Forecaster Forecaster::fit(const SeriesData& data, Index validation_begin,
                           const ForecasterOptions& options, const ProgressCallback& progress) {
  pipeline::validate(options);
  require_training_data(data, std::clamp<Index>(validation_begin, 0, data.steps()));
  require_validation(data, validation_begin);
  auto owned = std::make_shared<ForecasterState>();
  ForecasterState& state = *owned;
  state.options = options;
  state.scale.channels = data.channels;
  MomentSplit split = split_moments(state, data.steps(), validation_begin);
  json out, seconds;
  auto last = std::chrono::steady_clock::now();
  const auto finish = [&](const char* stage) {
    const auto now = std::chrono::steady_clock::now();
    seconds[stage] = std::chrono::duration<double>(now - last).count();
    last = now;
  };

  state.scale = SeriesScale::fit(data, validation_begin, options);
  const Panel panel(state.scale, data);
  const ForecastTargets targets(state, panel);
  state.encoder = SeriesEncoder(options, state.scale, options.encoder_training.seed);
  out["encoder"] = report_of(train_encoder(state, panel, split, targets, progress));
  finish("encoder");

  const int threads = options.head_training.num_threads;
  state.embedding = node_scaler(state, panel, split.encoder_moments, threads);
  if (options.relation) {
    // Representatives and correlations from the latest training rows.
    const Matrix<float> history = panel.history(validation_begin);
    state.relation.emplace(history, data.channels, *options.relation, options.encoder_training.seed,
                           threads, progress);
    finish("compress");
    const Index per_moment = panel.series() * (state.node_size() + state.outputs()) +
                             state.relation->n_representatives() * state.node_size();
    split.layer_moments = thinned(split.layer_moments, std::max<Index>(1, kNodeMemory / per_moment),
                                  options.head_training.seed + 2);
    const LayerPart training = layer_part(state, panel, split.layer_moments, threads, progress);
    const LayerPart held_out = layer_part(state, panel, split.validation, threads, progress);
    finish("embed");
    state.layer.emplace(state.layer_shape(true), options.head_training.seed);
    const auto report = train_layer(state, *state.layer, true, panel, training, held_out, targets,
                                    options.head_training, progress);
    out["gnn"] = report_of(report);
    finish("gnn");
    ErrorSum base(targets);
    base.add(split.validation, panel.series(), held_out.known.base);
    const double learned =
        report.epochs[static_cast<std::size_t>(report.best_epoch)].validation_loss;
    state.related = !options.gate || learned < base.mean();
    if (options.controls) {
      state.control.emplace(state.layer_shape(false), options.head_training.seed);
      nn::TrainingOptions control_training = options.head_training;
      control_training.stage = "mlp (control)";
      out["mlp"] = report_of(train_layer(state, *state.control, false, panel, training, held_out,
                                         targets, control_training, progress));
      finish("mlp");
    }
    out.update(report_of(*state.relation));
  }
  out["gate"] = {{"choice", state.related ? "ecseq" : "base"}};

  const auto errors = [&](ForecastOf of) {
    return errors_in_units(data, split.validation, options.horizon,
                           forecast_at(state, panel, split.validation, of, threads, progress));
  };
  json validation;
  validation["base"] = errors(ForecastOf::kBase);
  if (state.relation) validation["ecseq"] = errors(ForecastOf::kEcseq);
  if (state.control) validation["mlp"] = errors(ForecastOf::kControl);
  out["validation"] = validation;
  out["series_without_values"] = series_without_values(data, validation_begin);
  out["missing_values"] = state.scale.has_missing;
  out["n_series"] = panel.series();
  out["moments"] = {{"encoder", split.encoder_moments.size()},
                    {"gnn", state.relation ? split.layer_moments.size() : 0},
                    {"validation", split.validation.size()}};
  finish("validation");
  out["seconds"] = seconds;
  state.report = out.dump();
  state.verification = make_verification(state, data);
  return Forecaster(std::move(owned));
}

}  // namespace ecseq::pipeline
