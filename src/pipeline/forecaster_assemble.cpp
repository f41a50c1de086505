#include <memory>
#include <string>

#include "ecseq/core/error.hpp"
#include "forecaster_data.hpp"
#include "forecaster_report.hpp"
#include "forecaster_training.hpp"
#include "take_parameters.hpp"

namespace ecseq::pipeline {

using nlohmann::json;

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
  json out = report_of(*state.relation);
  out["n_series"] = panel.series();
  out["gate"] = {{"choice", "ecseq"}};
  state.report = out.dump();
  state.verification = make_verification(state, data);
  return Forecaster(std::move(owned));
}

}  // namespace ecseq::pipeline
