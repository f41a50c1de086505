#include "forecaster_training.hpp"

#include <algorithm>
#include <limits>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/core/error.hpp"

namespace ecseq::pipeline {
namespace {

constexpr Index kLargestBatch = 512;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

nn::TrainingOptions resolved(const ForecasterState& state, nn::TrainingOptions options,
                             Index samples) {
  if (options.batch_size <= 0) {
    const Index moments = state.options.batch_moments;
    options.batch_size = moments > 0 ? moments * state.scale.series()
                                     : nn::automatic_batch_size(samples, kLargestBatch);
  }
  return options;
}

}  // namespace

nn::TrainingReport train_encoder(ForecasterState& state, const Panel& panel,
                                 const MomentSplit& split, const ForecastTargets& targets,
                                 const ProgressCallback& progress) {
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

}  // namespace ecseq::pipeline
