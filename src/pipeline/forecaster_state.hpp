#pragma once

#include <optional>
#include <span>
#include <string>

#include "forecaster_encoder.hpp"
#include "forecaster_layer.hpp"
#include "forecaster_panel.hpp"

namespace ecseq::pipeline {

/// The rows before a moment and the forecast they gave when the model was saved; replayed when it
/// is loaded.
struct ForecastCase {
  Matrix<float> values;     ///< [required_rows, S * C]
  Matrix<float> exogenous;  ///< [required_rows + horizon, F], or empty
  Matrix<float> forecast;   ///< [S, horizon * C]
};

/// Everything a fitted forecaster has learned.
struct ForecasterState {
  ForecasterOptions options;
  SeriesScale scale;
  SeriesEncoder encoder;
  bool has_base_head = true;
  nn::Scaler embedding;  ///< of nodes; the identity where the layer forecasts values
  std::optional<relation::SeriesRelation> relation;
  std::optional<SeriesLayer> layer;
  std::optional<SeriesLayer> control;
  bool related = false;  ///< ECSeq's forecast is the layer's: the gate did not keep the base
  std::string report;
  ForecastCase verification;

  Index outputs() const { return options.horizon * scale.channels; }
  Index errors() const { return options.error_lags * outputs(); }
  /// Columns of a series' or a representative's node: embedding, last errors.
  Index node_size() const { return options.hidden_size + errors(); }
  /// Moments before a moment whose forecasts its last errors are of.
  Index error_moments() const {
    return options.error_lags > 0 ? options.error_lags + options.horizon - 1 : 0;
  }
  Index required_rows() const { return options.window + error_moments(); }
  SeriesLayer::Shape layer_shape(bool hears) const;
};

/// What is known of all series at some moments.
struct SeriesNodes {
  Matrix<float> nodes;  ///< [moments * S, node_size], the series of one moment together
  Matrix<float> base;   ///< [moments * S, outputs], scaled
};

// The steps of a forecast, in order; forecaster.cpp.

/// moments: increasing, each at least required_rows.
SeriesNodes nodes_at(const ForecasterState& state, const Panel& panel,
                     std::span<const Index> moments, int num_threads);
/// X_com at each moment: [moments * K, node_size]
Matrix<float> representatives_at(const ForecasterState& state, const Matrix<float>& nodes,
                                 int num_threads);
/// The layer's input: the series' node and, unless representatives are null (the control), what it
/// hears of them. representatives: [K, node_size] of the same moment; out: [layer.given()]
void write_layer_input(const ForecasterState& state, Index series, const float* node,
                       const float* representatives, float* out);
/// The layer on top of the base, in the units of Y. representatives: as `representatives_at` gives
/// them, or empty for the control. [moments * S, outputs]
Matrix<float> layer_forecast(const ForecasterState& state, const SeriesLayer& layer,
                             const Panel& panel, const SeriesNodes& at,
                             const Matrix<float>& representatives, int num_threads);
/// Scaled forecasts [rows, outputs], the panel's series in turn, to the units of Y.
void to_units(const Panel& panel, Matrix<float>& forecast);
/// The forecast at `moments`, increasing, in blocks of bounded memory.
Matrix<float> forecast_at(const ForecasterState& state, const Panel& panel,
                          std::span<const Index> moments, ForecastOf of, int num_threads,
                          const ProgressCallback& progress);

/// Calls body(first, count) for blocks of moments that hold few enough windows to stay in memory
/// and to let the caller hear of progress.
void for_blocks(const ForecasterState& state, Index moments, const ProgressCallback& progress,
                const std::string& stage, const std::function<void(Index, Index)>& body);

/// Throws FileError where the replayed forecast differs.
void replay_verification(const ForecasterState& state, const std::string& origin);
/// Of data's last rows.
ForecastCase make_verification(const ForecasterState& state, const SeriesData& data);

}  // namespace ecseq::pipeline
