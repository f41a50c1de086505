#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/encoders/named_tensors.hpp"
#include "ecseq/nn/training.hpp"
#include "ecseq/relation/series_relation.hpp"

namespace ecseq::pipeline {

struct ForecasterOptions {
  Index horizon = 1;  ///< steps forecast at once, each directly
  Index window = 24;  ///< steps of a series that the encoder reads
  std::string cell = "lstm";
  Index hidden_size = 32;                          ///< of the encoder: h
  std::optional<relation::SeriesOptions> relation  ///< absent: the base alone
      = relation::SeriesOptions{};
  Index head_size = 64;      ///< hidden units of the graph layer and of the control
  Index series_id_size = 8;  ///< learned embedding of each series' number; 0 = none
  Index error_lags = 1;      ///< latest steps whose errors of the base are known; 0 = none
  double dropout = 0.1;      ///< of the graph layer
  /// "series": each series' channels have mean 0 and standard deviation 1; "range": all become
  /// (x - min) / (max - min).
  std::string scaling = "series";
  bool change = true;    ///< the base forecasts the change since the last known value
  bool residual = true;  ///< the graph layer forecasts what the base leaves over, standardised
                         ///< embeddings in; else the value itself
  bool relu = true;      ///< of the graph layer
  bool gate = true;      ///< keep the base alone where it is better on validation rows
  bool controls = true;  ///< also train an MLP on all but the representatives
  /// "series": squared errors in each series' own standard deviations; "units": in those of Y.
  std::string loss = "series";
  Index max_moments = 0;  ///< training moments, drawn at random; 0 = all, of the graph layer as
                          ///< many as fit in a GiB
  nn::TrainingOptions encoder_training = default_training("encoder", 6e-3);
  nn::TrainingOptions head_training = default_training("gnn", 4e-3);  ///< and of the control
  Index batch_moments = 0;  ///< where the trainings' batch_size is 0: the windows of so many
                            ///< moments to a batch; 0 = by their number, at most 512 windows

  static nn::TrainingOptions default_training(const char* stage, double learning_rate) {
    nn::TrainingOptions options;
    options.batch_size = 0;  // see batch_moments
    options.max_epochs = 40;
    options.patience = 10;
    options.learning_rate = learning_rate;
    options.schedule = "cosine";
    options.stage = stage;
    return options;
  }

  /// The traffic model as released (Wu et al., ICWS 2024): LSTM of 64 on one channel, values
  /// scaled by their range, at most 100 representatives of series, edges from a correlation of 0.5
  /// on, GraphSAGE-mean of 16 without activation, a linear head that forecasts the value; Adam
  /// 1e-4, batches of 16 moments, at most 100 epochs, patience 10.
  static ForecasterOptions paper();
};

/// Parallel series: one row per step, the channels of one series side by side. Rows [steps, series
/// * channels]; NaN where a value is missing.
struct SeriesData {
  MatrixView<float> values;
  Index channels = 1;
  /// What is known of every step in advance (hour, holiday): [steps or more, features], or empty.
  MatrixView<float> exogenous;

  Index steps() const { return values.rows; }
  Index series() const { return values.cols / channels; }
};

/// Whose forecast: of ECSeq, of the base (the encoder's own head), or of the control, which knows
/// all that ECSeq knows of a series itself (embedding, number, last errors) and nothing of others.
enum class ForecastOf { kEcseq, kBase, kControl };

/// The representatives as they were at a moment: a series can be scored with them alone.
struct FrozenRepresentatives {
  Index moment = 0;     ///< rows that were known
  Matrix<float> nodes;  ///< [K, features]: mean embedding and last errors of the members
};

/// A representative that a series hears, and what it does to the forecast.
struct SeriesCase {
  Index representative = 0;
  float weight = 0.0F;
  float correlation = 0.0F;
  std::vector<std::int64_t> members;
  std::vector<float> errors;        ///< its last errors [error_lags * horizon * channels], in
                                    ///< standard deviations of the members, clipped to +-3
  std::vector<float> contribution;  ///< [horizon * channels] the forecast, minus that with an
                                    ///< average representative without errors in its place
};
struct SeriesExplanation {
  Index series = 0;
  std::vector<float> forecast;           ///< [horizon * channels]
  std::vector<float> base;               ///< of the base
  std::vector<float> without_relations;  ///< with every representative an average one
  std::vector<float> errors;             ///< its own last errors, as in SeriesCase
  std::vector<SeriesCase> cases;
};

struct ForecasterState;

/// ECSeq by series: many parallel series, each forecast from its own last steps and from the
/// representatives of correlated series at the same moment.
///
/// A forecast at moment t knows the rows before t and gives rows t .. t + horizon - 1. Read it in
/// this order, in src/pipeline/forecaster.cpp: Panel (missing values filled, scaled) ->
/// SeriesEncoder (embedding and base forecast of each window) -> nodes (embedding, last errors) ->
/// SeriesRelation (X_com = phi^T nodes, aggregate) -> SeriesLayer -> base + residual.
/// Immutable, and cheap to copy; one object may serve many threads.
class Forecaster {
 public:
  /// validation_begin: the first row that is held out; scales, representatives and weights know
  /// only rows before it, and it decides when training stops and whether the base is kept.
  /// data.exogenous: one row per step. Throws InvalidArgument before any work.
  static Forecaster fit(const SeriesData& data, Index validation_begin,
                        const ForecasterOptions& options, const ProgressCallback& progress = {});

  /// Trained weights from elsewhere, in the architecture of options.paper() or any other; `data`,
  /// all of it, gives the representatives and, unless `range` is {min, max}, the scale. Tensors as
  /// `tensors` gives them. Throws InvalidArgument where one is missing, unknown or does not fit.
  static Forecaster assemble(const SeriesData& data, const encoders::NamedTensors::Map& tensors,
                             const ForecasterOptions& options,
                             std::optional<std::pair<double, double>> range = {});

  /// [series, horizon * channels]: the rows after the last. exogenous: steps + horizon rows.
  Matrix<float> predict(const SeriesData& data, ForecastOf of, int num_threads = 0,
                        const ProgressCallback& progress = {}) const;
  /// The forecast at each of `moments`, in any order, from the rows before it alone:
  /// [moments * series, horizon * channels], all series of one moment together.
  Matrix<float> backtest(const SeriesData& data, std::span<const Index> moments, ForecastOf of,
                         int num_threads = 0, const ProgressCallback& progress = {}) const;

  FrozenRepresentatives freeze(const SeriesData& data, int num_threads = 0) const;
  /// One series from its own latest rows and frozen representatives: [1, horizon * channels]. Equal
  /// to `predict`, to the last bit, where the representatives were frozen at the same moment.
  /// data: of this series alone.
  Matrix<float> predict_one(Index series, const SeriesData& data,
                            const FrozenRepresentatives& frozen) const;
  std::vector<SeriesExplanation> explain(const SeriesData& data, std::span<const Index> series,
                                         int num_threads = 0) const;

  const ForecasterOptions& options() const;
  Index n_series() const;
  Index channels() const;
  Index exogenous_features() const;
  /// Rows a forecast needs before its moment.
  Index required_rows() const;
  bool has_base_head() const;
  bool has_control() const;
  /// Null without a relation.
  const relation::SeriesRelation* relation() const;
  /// Weights by name, see src/pipeline/forecaster_file.cpp.
  encoders::NamedTensors::Map tensors() const;
  /// Seconds per stage, validation errors of base, ECSeq and control, curves, gate: JSON text.
  const std::string& report() const;
  /// The caller's own text, kept in the model file.
  const std::string& metadata() const { return metadata_; }
  void set_metadata(std::string text) { metadata_ = std::move(text); }

  /// One safetensors file; `load` checks every bound and replays a forecast.
  std::string to_bytes() const;
  static Forecaster from_bytes(std::string_view bytes, const std::string& origin = "model");
  void save(const std::string& path) const;
  static Forecaster load(const std::string& path);

 private:
  explicit Forecaster(std::shared_ptr<const ForecasterState> state);
  std::shared_ptr<const ForecasterState> state_;
  std::string metadata_;
};

/// Throws InvalidArgument, which names the option.
void validate(const ForecasterOptions& options);

}  // namespace ecseq::pipeline
