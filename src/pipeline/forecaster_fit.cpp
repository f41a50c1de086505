#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/core/error.hpp"
#include "forecaster_state.hpp"

namespace ecseq::pipeline {
namespace {

using nlohmann::json;

constexpr Index kLargestBatch = 512;
/// What the nodes of all training moments may take, in floats: a GiB.
constexpr Index kNodeMemory = Index{1} << 28;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

std::vector<Index> moments_from(Index begin, Index end) {
  std::vector<Index> out;
  for (Index t = begin; t < end; ++t) out.push_back(t);
  return out;
}

/// `count` of `moments` at random, in their order. Not every n-th: n might divide the day.
std::vector<Index> thinned(const std::vector<Index>& moments, Index count, std::uint64_t seed) {
  const auto n = static_cast<Index>(moments.size());
  if (count <= 0 || count >= n) return moments;
  Rng rng(seed, 3);
  auto order = rng.permutation(n);
  order.resize(at(count));
  std::sort(order.begin(), order.end());
  std::vector<Index> out;
  for (const Index i : order) out.push_back(moments[at(i)]);
  return out;
}

/// What is to be forecast, and how much an error counts.
class ForecastTargets {
 public:
  ForecastTargets(const ForecasterState& state, const Panel& panel) : state_(state), panel_(panel) {
    const auto& std = state.scale.std;
    weights_ = RowVector<float>::Ones(std.size());
    if (state.options.loss != "units") return;
    // Errors in the units of Y, of one size whatever the units are.
    double squares = 0.0;
    for (Index j = 0; j < std.size(); ++j) squares += static_cast<double>(std[j]) * std[j];
    const double mean = std::sqrt(squares / static_cast<double>(std.size()));
    for (Index j = 0; j < std.size(); ++j) weights_[j] = static_cast<float>(std[j] / mean);
  }

  /// values, weights: [outputs]; weight 0 where the value is missing. Returns how many are known.
  Index write(Index series, Index moment, float* values, float* weights) const {
    const Index c = panel_.channels();
    Index known = 0;
    for (Index h = 0; h < state_.options.horizon; ++h) {
      const float* x = panel_.values(series, moment + h);
      for (Index j = 0; j < c; ++j) {
        const bool there = panel_.known(series, moment + h, j);
        known += there ? 1 : 0;
        *values++ = there ? x[j] : 0.0F;
        *weights++ = there ? weights_[panel_.number(series) * c + j] : 0.0F;
      }
    }
    return known;
  }

 private:
  const ForecasterState& state_;
  const Panel& panel_;
  RowVector<float> weights_;  ///< [S * C], square roots of the weights of squared errors
};

/// Sum over rows and outputs of (weight (forecast - value))^2. values, weights: [n, outputs]
autograd::Variable<float> weighted_squares(autograd::Variable<float> forecast, float* values,
                                           const float* weights) {
  auto& tape = forecast.tape();
  const Index count = forecast.rows() * forecast.cols();
  for (Index i = 0; i < count; ++i) values[i] *= weights[i];
  const MatrixView<float> shape(weights, forecast.rows(), forecast.cols());
  return autograd::squared_error(autograd::multiply(forecast, tape.constant(shape)),
                                 {values, forecast.rows(), forecast.cols()}, nullptr);
}

/// Mean weighted squared error of scaled forecasts [moments * S, outputs].
class ErrorSum {
 public:
  explicit ErrorSum(const ForecastTargets& targets) : targets_(targets) {}
  void add(std::span<const Index> moments, Index n_series, const Matrix<float>& forecast) {
    std::vector<float> values(at(forecast.cols())), weights(at(forecast.cols()));
    for (Index row = 0; row < forecast.rows(); ++row) {
      known_ += targets_.write(row % n_series, moments[at(row / n_series)], values.data(),
                               weights.data());
      for (Index j = 0; j < forecast.cols(); ++j) {
        const double error =
            static_cast<double>(weights[at(j)]) * (forecast(row, j) - values[at(j)]);
        squares_ += error * error;
      }
    }
  }
  double mean() const { return known_ > 0 ? squares_ / static_cast<double>(known_) : 0.0; }

 private:
  const ForecastTargets& targets_;
  double squares_ = 0.0;
  Index known_ = 0;
};

/// RMSE and MAE in the units of Y, over all series, horizons and channels. [moments * S, outputs]
json errors_in_units(const SeriesData& data, std::span<const Index> moments, Index horizon,
                     const Matrix<float>& forecast) {
  const Index n = data.series(), c = data.channels;
  double squares = 0.0, sizes = 0.0;
  Index known = 0;
  for (Index row = 0; row < forecast.rows(); ++row) {
    for (Index h = 0; h < horizon; ++h) {
      for (Index j = 0; j < c; ++j) {
        const float value = data.values(moments[at(row / n)] + h, row % n * c + j);
        if (std::isnan(value)) continue;
        const double error = static_cast<double>(forecast(row, h * c + j)) - value;
        squares += error * error;
        sizes += std::abs(error);
        ++known;
      }
    }
  }
  const auto count = static_cast<double>(known);
  if (known == 0) return {{"rmse", nullptr}, {"mae", nullptr}};
  return {{"rmse", std::sqrt(squares / count)}, {"mae", sizes / count}};
}

json curve_of(const nn::TrainingReport& report) {
  json out = json::array();
  int number = 0;
  for (const auto& epoch : report.epochs) {
    out.push_back({{"epoch", ++number},
                   {"training_loss", epoch.training_loss},
                   {"validation_loss", epoch.validation_loss},
                   {"learning_rate", epoch.learning_rate},
                   {"seconds", epoch.seconds}});
  }
  return {{"curve", out},
          {"best_epoch", report.best_epoch + 1},
          {"stop_reason", report.stop_reason},
          {"seconds", report.seconds}};
}

nn::TrainingOptions resolved(const ForecasterState& state, nn::TrainingOptions options,
                             Index samples) {
  if (options.batch_size <= 0) {
    const Index moments = state.options.batch_moments;
    options.batch_size = moments > 0 ? moments * state.scale.series()
                                     : nn::automatic_batch_size(samples, kLargestBatch);
  }
  return options;
}

/// Moments to learn from and to validate on. A moment's forecast reaches `horizon` rows on, none of
/// which may lie beyond its part.
struct Split {
  std::vector<Index> encoder_moments;  ///< of the base, which needs no errors before them
  std::vector<Index> layer_moments;
  std::vector<Index> validation;
};

Split split_moments(const ForecasterState& state, Index steps, Index validation_begin) {
  const auto& options = state.options;
  const Index required = state.required_rows(), horizon = options.horizon;
  const auto number = [](Index n) { return std::to_string(n); };
  if (validation_begin - horizon < required) {
    throw InvalidArgument("window: " + number(options.window) +
                          " steps and what else a forecast needs before it (" + number(required) +
                          " rows), and the horizon (" + number(horizon) + "), are more than the " +
                          number(std::max<Index>(validation_begin, 0)) + " training rows of Y");
  }
  if (validation_begin > steps - horizon) {
    throw InvalidArgument("validation: expected " + number(horizon) +
                          " rows or more (the horizon), got " + number(steps - validation_begin));
  }
  const std::uint64_t seed = options.encoder_training.seed;
  return {
      thinned(moments_from(options.window, validation_begin - horizon + 1), options.max_moments,
              seed),
      thinned(moments_from(required, validation_begin - horizon + 1), options.max_moments, seed),
      moments_from(std::max(validation_begin, required), steps - horizon + 1)};
}

/// Trains the encoder and its head.
nn::TrainingReport train_encoder(ForecasterState& state, const Panel& panel, const Split& split,
                                 const ForecastTargets& targets, const ProgressCallback& progress) {
  const Index n = panel.series(), outputs = state.outputs();
  nn::TrainingProblem problem;
  problem.n_samples = static_cast<Index>(split.encoder_moments.size()) * n;
  problem.shard_loss = [&](const nn::BoundParameters<float>& bound, std::span<const Index> rows,
                           Rng&) {
    auto& tape = bound.tape();
    const auto count = static_cast<Index>(rows.size());
    auto* const series = tape.scratch_of<Index>(count);
    auto* const moments = tape.scratch_of<Index>(count);
    float* const values = tape.scratch(count * outputs);
    float* const weights = tape.scratch(count * outputs);
    for (Index i = 0; i < count; ++i) {
      series[i] = rows[at(i)] % n;
      moments[i] = split.encoder_moments[at(rows[at(i)] / n)];
      targets.write(series[i], moments[i], values + i * outputs, weights + i * outputs);
    }
    return weighted_squares(
        state.encoder.forward(bound, panel, {series, at(count)}, {moments, at(count)}), values,
        weights);
  };
  const int threads = state.options.encoder_training.num_threads;
  problem.validate = [&](const nn::Parameters<float>& parameters) {
    state.encoder.parameters().flat() = parameters.flat();
    state.encoder.pack();
    ErrorSum sum(targets);
    for_blocks(state, static_cast<Index>(split.validation.size()), progress, "encoder: validation",
               [&](Index first, Index count) {
                 const auto block = std::span(split.validation).subspan(at(first), at(count));
                 const Matrix<float> e = state.encoder.encode(panel, block, threads);
                 sum.add(block, n, state.encoder.forecast(panel, block, e, threads));
               });
    return nn::ValidationScore{-sum.mean(), sum.mean()};
  };
  nn::Parameters<float> parameters = state.encoder.parameters();
  const auto report =
      nn::train(parameters, problem,
                resolved(state, state.options.encoder_training, problem.n_samples), progress);
  if (report.stop_reason == "interrupted") throw Interrupted();
  state.encoder.parameters().flat() = parameters.flat();
  state.encoder.pack();
  return report;
}

/// What the graph layer and its control learn from: all series at some moments.
struct LayerPart {
  std::span<const Index> moments;
  SeriesNodes known;
  Matrix<float> representatives;  ///< [moments * K, node_size]
};

LayerPart layer_part(const ForecasterState& state, const Panel& panel,
                     std::span<const Index> moments, int threads,
                     const ProgressCallback& progress) {
  const Index n = panel.series(), k = state.relation->n_representatives();
  const auto m = static_cast<Index>(moments.size());
  LayerPart part{moments, {}, Matrix<float>(m * k, state.node_size())};
  part.known.nodes.resize(m * n, state.node_size());
  part.known.base.resize(m * n, state.outputs());
  for_blocks(state, m, progress, "embed", [&](Index first, Index count) {
    const SeriesNodes block =
        nodes_at(state, panel, moments.subspan(at(first), at(count)), threads);
    part.known.nodes.middleRows(first * n, count * n) = block.nodes;
    part.known.base.middleRows(first * n, count * n) = block.base;
    part.representatives.middleRows(first * k, count * k) =
        representatives_at(state, block.nodes, threads);
  });
  return part;
}

/// Trains the graph layer, or the control, on frozen nodes. `state.layer` or `state.control` is the
/// layer that is trained.
nn::TrainingReport train_layer(ForecasterState& state, SeriesLayer& layer, bool hears,
                               const Panel& panel, const LayerPart& training,
                               const LayerPart& validation, const ForecastTargets& targets,
                               nn::TrainingOptions options, const ProgressCallback& progress) {
  const Index n = panel.series(), outputs = state.outputs();
  const Index k = state.relation->n_representatives();
  // Scaled inputs and base of row (moment, series) of a part.
  const auto write_row = [&](const LayerPart& part, Index row, float* input) {
    write_layer_input(state, row % n, part.known.nodes.row(row).data(),
                      hears ? part.representatives.row(row / n * k).data() : nullptr, input);
  };
  nn::TrainingProblem problem;
  problem.n_samples = training.known.nodes.rows();
  problem.shard_loss = [&](const nn::BoundParameters<float>& bound, std::span<const Index> rows,
                           Rng& rng) {
    auto& tape = bound.tape();
    const auto count = static_cast<Index>(rows.size());
    const auto x = tape.constant(count, layer.given());
    const auto base = tape.constant(count, outputs);
    auto* const series = tape.scratch_of<Index>(count);
    float* const values = tape.scratch(count * outputs);
    float* const weights = tape.scratch(count * outputs);
    for (Index i = 0; i < count; ++i) {
      const Index row = rows[at(i)];
      series[i] = row % n;
      write_row(training, row, x.value().row(i).data());
      base.value().row(i) = training.known.base.row(row);
      targets.write(series[i], training.moments[at(row / n)], values + i * outputs,
                    weights + i * outputs);
    }
    auto forecast = layer.forward(bound, x, {series, at(count)}, state.options.dropout, rng);
    if (state.options.residual) forecast = autograd::add(forecast, base);
    return weighted_squares(forecast, values, weights);
  };
  problem.validate = [&](const nn::Parameters<float>& parameters) {
    layer.parameters().flat() = parameters.flat();
    layer.pack();
    // In the units of Y and back: one path for training and forecasts.
    Matrix<float> forecast =
        layer_forecast(state, layer, panel, validation.known,
                       hears ? validation.representatives : Matrix<float>(), options.num_threads);
    for (Index row = 0; row < forecast.rows(); ++row) {
      const Index first = row % n * panel.channels();
      for (Index j = 0; j < outputs; ++j) {
        const Index column = first + j % panel.channels();
        forecast(row, j) = (forecast(row, j) - state.scale.mean[column]) / state.scale.std[column];
      }
    }
    ErrorSum sum(targets);
    sum.add(validation.moments, n, forecast);
    return nn::ValidationScore{-sum.mean(), sum.mean()};
  };
  nn::Parameters<float> parameters = layer.parameters();
  const auto report =
      nn::train(parameters, problem, resolved(state, options, problem.n_samples), progress);
  if (report.stop_reason == "interrupted") throw Interrupted();
  layer.parameters().flat() = parameters.flat();
  layer.pack();
  return report;
}

bool any_known(const SeriesData& data, Index begin, Index end) {
  for (Index i = begin * data.values.cols; i < end * data.values.cols; ++i) {
    if (!std::isnan(data.values.data[i])) return true;
  }
  return false;
}

/// training_rows: how many the scales come from.
void require_training_data(const SeriesData& data, Index training_rows) {
  if (data.values.empty() || data.channels < 1 || data.values.cols % data.channels != 0) {
    throw InvalidArgument("Y: expected rows [steps, series * channels], got " +
                          std::to_string(data.values.rows) + " steps and " +
                          std::to_string(data.values.cols) + " columns");
  }
  require_data(data, data.series(), data.channels, data.exogenous.cols, data.steps());
  if (!any_known(data, 0, training_rows)) {
    throw InvalidArgument("Y: every value of the training rows is missing");
  }
}

void require_validation(const SeriesData& data, Index validation_begin) {
  if (validation_begin < 1 || validation_begin >= data.steps()) {
    throw InvalidArgument("validation: expected its first row to be one from 1 to " +
                          std::to_string(data.steps() - 1) + ", got " +
                          std::to_string(validation_begin));
  }
  if (!any_known(data, validation_begin, data.steps())) {
    throw InvalidArgument("Y: every value of the validation rows is missing");
  }
}

std::vector<std::int64_t> series_without_values(const SeriesData& data, Index rows) {
  std::vector<std::int64_t> out;
  for (Index s = 0; s < data.series(); ++s) {
    bool known = false;
    for (Index t = 0; t < rows && !known; ++t) {
      for (Index j = 0; j < data.channels; ++j) {
        known = known || !std::isnan(data.values(t, s * data.channels + j));
      }
    }
    if (!known) out.push_back(s);
  }
  return out;
}

nn::Scaler node_scaler(const ForecasterState& state, const Panel& panel,
                       std::span<const Index> moments, int threads) {
  const Index hidden = state.options.hidden_size;
  if (!state.options.residual) {
    nn::Scaler identity;
    identity.mean = RowVector<float>::Zero(hidden);
    identity.inverse_std = RowVector<float>::Ones(hidden);
    identity.bound = std::numeric_limits<float>::infinity();
    return identity;
  }
  // The spread of some ten thousand embeddings says that of all.
  constexpr Index kEnough = Index{1} << 15;
  const Index count = std::max<Index>(1, kEnough / panel.series());
  const std::vector<Index> all(moments.begin(), moments.end());
  const auto some = thinned(all, count, state.options.encoder_training.seed + 1);
  return nn::Scaler::fit(state.encoder.encode(panel, some, threads));
}

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
  Split split = split_moments(state, data.steps(), validation_begin);
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
  out["encoder"] = curve_of(train_encoder(state, panel, split, targets, progress));
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
    out["gnn"] = curve_of(report);
    finish("gnn");
    ErrorSum base(targets);
    base.add(split.validation, panel.series(), held_out.known.base);
    const double learned = report.epochs[at(report.best_epoch)].validation_loss;
    state.related = !options.gate || learned < base.mean();
    if (options.controls) {
      state.control.emplace(state.layer_shape(false), options.head_training.seed);
      nn::TrainingOptions control_training = options.head_training;
      control_training.stage = "mlp (control)";
      out["mlp"] = curve_of(train_layer(state, *state.control, false, panel, training, held_out,
                                        targets, control_training, progress));
      finish("mlp");
    }
    out["n_representatives"] = state.relation->n_representatives();
    out["compression_note"] = state.relation->note();
    out["isolation_rate"] = state.relation->isolation_rate();
    out["constant_series"] = state.relation->constant_series();
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

Forecaster Forecaster::assemble(const SeriesData& data, const encoders::NamedTensors::Map& tensors,
                                const ForecasterOptions& options,
                                std::optional<std::pair<double, double>> range) {
  pipeline::validate(options);
  if (!options.relation) throw InvalidArgument("relation: expected one");
  require_training_data(data, data.steps());
  auto owned = std::make_shared<ForecasterState>();
  ForecasterState& state = *owned;
  state.options = options;
  state.options.controls = false;
  state.options.gate = false;
  state.related = true;
  state.has_base_head = tensors.count("encoder.head.weight") > 0;
  if (!state.has_base_head && (options.residual || options.error_lags > 0)) {
    throw InvalidArgument("encoder: without a head there is no base to forecast the residual of");
  }
  state.scale = SeriesScale::fit(data, data.steps(), options);
  if (data.steps() < state.required_rows() + options.horizon) {
    throw InvalidArgument(
        "window: expected " + std::to_string(state.required_rows() + options.horizon) +
        " rows of Y or more (window and horizon), got " + std::to_string(data.steps()));
  }
  if (range) {
    if (options.scaling != "range" || !(range->first < range->second)) {
      throw InvalidArgument("range: expected a minimum below the maximum, for scaling 'range'");
    }
    state.scale.start.array() =
        (state.scale.mean.array() + state.scale.std.array() * state.scale.start.array() -
         static_cast<float>(range->first)) /
        static_cast<float>(range->second - range->first);
    state.scale.mean.setConstant(static_cast<float>(range->first));
    state.scale.std.setConstant(static_cast<float>(range->second - range->first));
  }
  state.encoder = SeriesEncoder(options, state.scale, options.encoder_training.seed);
  state.layer.emplace(state.layer_shape(true), options.head_training.seed);
  auto given = tensors;
  if (!state.has_base_head) {
    const Index width = options.hidden_size + (options.horizon - 1) * state.scale.exogenous.size();
    given["encoder.head.weight"] = Matrix<float>::Zero(width, state.outputs());
    given["encoder.head.bias"] = Matrix<float>::Zero(1, state.outputs());
  }
  take_parameters<InvalidArgument>(state.encoder.parameters(), given, "encoder.");
  take_parameters<InvalidArgument>(state.layer->parameters(), given, "layer.");
  const auto known =
      state.encoder.parameters().entries().size() + state.layer->parameters().entries().size();
  if (given.size() != known) {
    throw InvalidArgument("tensors: expected " + std::to_string(known) + ", got " +
                          std::to_string(given.size()));
  }
  state.encoder.pack();
  state.layer->pack();
  const Panel panel(state.scale, data);
  state.embedding = node_scaler(state, panel, moments_from(options.window, data.steps()),
                                options.head_training.num_threads);
  const Matrix<float> history = panel.history(data.steps());
  state.relation.emplace(history, data.channels, *options.relation, options.encoder_training.seed,
                         options.head_training.num_threads);
  json out;
  out["n_representatives"] = state.relation->n_representatives();
  out["compression_note"] = state.relation->note();
  out["isolation_rate"] = state.relation->isolation_rate();
  out["constant_series"] = state.relation->constant_series();
  out["n_series"] = panel.series();
  out["gate"] = {{"choice", "ecseq"}};
  state.report = out.dump();
  state.verification = make_verification(state, data);
  return Forecaster(std::move(owned));
}

}  // namespace ecseq::pipeline
