#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "config_json.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/io/safetensors.hpp"
#include "forecaster_state.hpp"
#include "parameter_file.hpp"
#include "take_parameters.hpp"

namespace ecseq::pipeline {
namespace {

using nlohmann::json;

constexpr int kFormatVersion = 1;
constexpr const char* kFormat = "ecseq-forecaster";
/// Another instruction set rounds differently; a wrong weight differs by far more.
constexpr float kTolerance = 2e-3F;

/// Calls visit(name, member) for what a file says of the options.
template <class Options, class Visit>
void visit_architecture(Options& options, const Visit& visit) {
  visit("horizon", options.horizon);
  visit("window", options.window);
  visit("cell", options.cell);
  visit("hidden_size", options.hidden_size);
  visit("head_size", options.head_size);
  visit("series_id_size", options.series_id_size);
  visit("error_lags", options.error_lags);
  visit("dropout", options.dropout);
  visit("scaling", options.scaling);
  visit("change", options.change);
  visit("residual", options.residual);
  visit("relu", options.relu);
  visit("gate", options.gate);
  visit("controls", options.controls);
  visit("loss", options.loss);
  visit("max_moments", options.max_moments);
  visit("batch_moments", options.batch_moments);
}

template <class Options, class Visit>
void visit_relation(Options& options, const Visit& visit) {
  visit("compressor", options.compressor);
  visit("n_representatives", options.n_representatives);
  visit("attach", options.attach);
  visit("n_neighbors", options.n_neighbors);
  visit("min_correlation", options.min_correlation);
  visit("lags", options.lags);
}

/// encoder.<cell>.weight_input, .weight_hidden and .bias as SequenceEncoder::tensors lays them out;
/// encoder.head.weight [h + exogenous features of the later steps, horizon * C] and .bias;
/// layer.* and control.*: series [S, id] where there is one, hidden.weight (rows: own node, heard
/// node, number), hidden.bias, output.weight, output.bias; embedding.mean and .scale [1, h] of the
/// nodes' standardisation.
void put_weights(io::TensorFile& file, const ForecasterState& state) {
  save_parameters(state.encoder.parameters(), file, "encoder.");
  if (state.layer) save_parameters(state.layer->parameters(), file, "layer.");
  if (state.control) save_parameters(state.control->parameters(), file, "control.");
  file.floats["embedding.mean"] = state.embedding.mean;
  file.floats["embedding.scale"] = state.embedding.inverse_std;
}

SeriesData view_of(const ForecastCase& known, Index channels) {
  return {known.values, channels, known.exogenous};
}

io::TensorFile to_file(const ForecasterState& state, const std::string& user) {
  io::TensorFile file;
  json config;
  visit_architecture(state.options, config_writer(config));
  if (state.relation) {
    visit_relation(state.relation->options(), config_writer(config["relation"]));
  }
  config["related"] = state.related;
  config["has_base_head"] = state.has_base_head;
  config["has_control"] = state.control.has_value();
  file.metadata["format"] = kFormat;
  file.metadata["format_version"] = std::to_string(kFormatVersion);
  file.metadata["library_version"] = ECSEQ_VERSION;
  file.metadata["config"] = config.dump();
  file.metadata["report"] = state.report;
  file.metadata["user"] = user;
  state.scale.save(file, "scale.");
  if (state.relation) state.relation->save(file, "relation.");
  put_weights(file, state);
  // Missing values come as a list of cells: a file holds finite numbers only.
  Matrix<float> values = state.verification.values;
  std::vector<std::int64_t> missing;
  for (Index i = 0; i < values.size(); ++i) {
    if (!std::isnan(values.data()[i])) continue;
    missing.push_back(i);
    values.data()[i] = 0.0F;
  }
  file.floats["verify.values"] = values;
  file.integers["verify.missing"] = missing;
  file.floats["verify.exogenous"] = state.verification.exogenous;
  file.floats["verify.forecast"] = state.verification.forecast;
  return file;
}

const std::string& metadata(const io::TensorFile& file, const std::string& name,
                            const std::string& origin) {
  return metadata_of(file, name, origin, "forecaster");
}

/// The sizes that the options name are those of tensors that are there, before anything of that
/// size is allocated.
void require_sizes(const ForecasterState& state, bool has_control, const io::TensorFile& file,
                   const std::string& origin) {
  const auto& options = state.options;
  const auto expect = [&](bool holds, const char* what) {
    if (!holds) throw FileError(origin + ": the model's " + what + " does not fit its tensors");
  };
  // Bounds first, so that no product below overflows.
  constexpr Index kMost = Index{1} << 31;
  for (const Index size : {options.horizon, options.window, options.hidden_size, options.head_size,
                           options.series_id_size, options.error_lags}) {
    expect(size < kMost, "size");
  }
  const auto& forecast = state.verification.forecast;
  expect(forecast.cols() == options.horizon * state.scale.channels, "horizon");
  expect(tensor_of(file, "embedding.mean", origin).size() == options.hidden_size, "hidden_size");
  expect(state.verification.values.rows() == state.required_rows(), "window");
  for (const char* prefix : {"layer.", "control."}) {
    if (prefix[0] == 'l' ? !state.relation : !has_control) continue;
    const auto& hidden = tensor_of(file, std::string(prefix) + "hidden.weight", origin);
    expect(hidden.cols() == options.head_size && hidden.rows() > options.series_id_size &&
               hidden.rows() >= state.node_size(),
           "head_size");
  }
}

ForecastCase read_verification(const io::TensorFile& file, const std::string& origin) {
  ForecastCase out;
  out.values = tensor_of(file, "verify.values", origin).eigen();
  out.exogenous = tensor_of(file, "verify.exogenous", origin).eigen();
  out.forecast = tensor_of(file, "verify.forecast", origin).eigen();
  const auto missing = file.integers.find("verify.missing");
  if (missing == file.integers.end()) {
    throw FileError(origin + ": tensor 'verify.missing' is missing");
  }
  for (const auto cell : missing->second) {
    if (cell < 0 || cell >= out.values.size()) {
      throw FileError(origin + ": tensor 'verify.missing' names a cell that is not there");
    }
    out.values.data()[cell] = std::numeric_limits<float>::quiet_NaN();
  }
  return out;
}

std::shared_ptr<ForecasterState> read_state(const io::TensorFile& file, const std::string& origin) {
  require_format(file, kFormat, kFormatVersion, origin, "forecaster");
  const json config = json::parse(metadata(file, "config", origin));
  auto owned = std::make_shared<ForecasterState>();
  ForecasterState& state = *owned;
  const auto read = config_reader(config);
  visit_architecture(state.options, read);
  state.options.relation.reset();
  if (config.contains("relation")) {
    visit_relation(state.options.relation.emplace(), config_reader(config["relation"]));
    // The function it stands for is not in a file, and not needed any more.
    relation::validate(*state.options.relation);
  }
  pipeline::validate(state.options);
  read("related", state.related);
  read("has_base_head", state.has_base_head);
  const bool has_control = config.at("has_control").get<bool>();
  state.report = metadata(file, "report", origin);
  state.scale = SeriesScale::load(file, "scale.");
  state.verification = read_verification(file, origin);
  if (state.options.relation) {
    state.relation = relation::SeriesRelation::load(file, "relation.", *state.options.relation);
    if (state.relation->n_series() != state.scale.series()) {
      throw FileError(origin + ": the relation is not of the model's series");
    }
  } else if (state.related || has_control) {
    throw FileError(origin + ": a model without a relation has no graph layer");
  }
  require_sizes(state, has_control, file, origin);
  state.embedding.mean = tensor_of(file, "embedding.mean", origin).eigen().reshaped().transpose();
  state.embedding.inverse_std =
      tensor_of(file, "embedding.scale", origin).eigen().reshaped().transpose();
  if (state.embedding.inverse_std.size() != state.embedding.mean.size() ||
      !state.embedding.mean.allFinite() || !state.embedding.inverse_std.allFinite()) {
    throw FileError(origin + ": tensors 'embedding.*' do not fit together");
  }
  if (!state.options.residual) {
    state.embedding.bound = std::numeric_limits<float>::infinity();
  }
  state.encoder = SeriesEncoder(state.options, state.scale, 0, parameters_of(file, "encoder."));
  take_parameters<FileError>(state.encoder.parameters(), file.floats, "encoder.");
  state.encoder.pack();
  if (state.relation) {
    state.layer.emplace(state.layer_shape(true), 0, parameters_of(file, "layer."));
    take_parameters<FileError>(state.layer->parameters(), file.floats, "layer.");
    state.layer->pack();
  }
  if (has_control) {
    state.control.emplace(state.layer_shape(false), 0, parameters_of(file, "control."));
    take_parameters<FileError>(state.control->parameters(), file.floats, "control.");
    state.control->pack();
  }
  return owned;
}

std::shared_ptr<ForecasterState> from_file(const io::TensorFile& file, const std::string& origin) {
  std::shared_ptr<ForecasterState> state;
  try {
    state = read_state(file, origin);
    replay_verification(*state, origin);
  } catch (const FileError& error) {
    const std::string what = error.what();
    if (what.rfind(origin, 0) == 0) throw;
    throw FileError(origin + ": " + what);
  } catch (const std::exception& error) {  // JSON of the wrong shape, options out of range
    throw FileError(origin + ": " + error.what());
  }
  return state;
}

Matrix<float> forecast_of(const ForecasterState& state, const ForecastCase& known) {
  const SeriesData data = view_of(known, state.scale.channels);
  const Index now = data.steps();
  const auto of = state.related ? ForecastOf::kEcseq : ForecastOf::kBase;
  const Panel panel(state.scale, data);
  return forecast_at(state, panel, {&now, 1}, of, 1, {});
}

}  // namespace

ForecastCase make_verification(const ForecasterState& state, const SeriesData& data) {
  const Index rows = state.required_rows(), horizon = state.options.horizon;
  const Index first = data.steps() - horizon - rows;
  ForecastCase out;
  out.values = data.values.eigen().middleRows(first, rows);
  if (!data.exogenous.empty()) {
    out.exogenous = data.exogenous.eigen().middleRows(first, rows + horizon);
  }
  out.forecast = forecast_of(state, out);
  return out;
}

void replay_verification(const ForecasterState& state, const std::string& origin) {
  const ForecastCase& known = state.verification;
  const auto refuse = [&] {
    throw FileError(origin + ": the model does not reproduce its own forecast");
  };
  try {
    require_data(view_of(known, state.scale.channels), state.scale.series(), state.scale.channels,
                 state.scale.exogenous.size(), known.values.rows() + state.options.horizon);
  } catch (const InvalidArgument&) {
    refuse();
  }
  const Matrix<float> got = forecast_of(state, known);
  if (got.rows() != known.forecast.rows() || got.cols() != known.forecast.cols()) refuse();
  for (Index row = 0; row < got.rows(); ++row) {
    for (Index j = 0; j < got.cols(); ++j) {
      const Index column = row * state.scale.channels + j % state.scale.channels;
      const float difference = std::abs(got(row, j) - known.forecast(row, j));
      const float size = state.scale.std[column] + std::abs(known.forecast(row, j));
      if (!(difference <= kTolerance * size)) refuse();
    }
  }
}

encoders::NamedTensors::Map Forecaster::tensors() const {
  io::TensorFile file;
  put_weights(file, *state_);
  return std::move(file.floats);
}

std::string Forecaster::to_bytes() const { return io::to_bytes(to_file(*state_, metadata_)); }

Forecaster Forecaster::from_bytes(std::string_view bytes, const std::string& origin) {
  const io::TensorFile file = io::from_bytes(bytes, origin);
  Forecaster out(from_file(file, origin));
  out.metadata_ = pipeline::metadata(file, "user", origin);
  return out;
}

void Forecaster::save(const std::string& path) const {
  io::write_file(to_file(*state_, metadata_), path);
}

Forecaster Forecaster::load(const std::string& path) {
  const io::TensorFile file = io::read_file(path);
  Forecaster out(from_file(file, path));
  out.metadata_ = pipeline::metadata(file, "user", path);
  return out;
}

}  // namespace ecseq::pipeline
