#pragma once

#include <span>
#include <vector>

#include "ecseq/io/safetensors.hpp"
#include "ecseq/nn/scaler.hpp"
#include "ecseq/pipeline/forecaster.hpp"

namespace ecseq::pipeline {

/// How values become inputs and forecasts values again; from training rows only.
struct SeriesScale {
  Index channels = 1;
  RowVector<float> mean;        ///< [S * C]: scaled = (x - mean) / std
  RowVector<float> std;         ///< [S * C]
  RowVector<float> start;       ///< [S * C], scaled: stands before the first known value
  RowVector<float> level_mean;  ///< [C] over all series, so that a network sees how large a series
  RowVector<float> level_std;   ///< [C] is; empty where all have one scale already
  bool has_missing = false;     ///< some training value is missing: events say which are
  nn::Scaler exogenous;         ///< [F]; empty without

  /// The rows [0, rows) of `data`.
  static SeriesScale fit(const SeriesData& data, Index rows, const ForecasterOptions& options);

  Index series() const { return mean.size() / channels; }
  bool has_level() const { return level_mean.size() > 0; }
  /// Columns of an encoded event.
  Index inputs() const {
    return channels * (1 + (has_missing ? 1 : 0) + (has_level() ? 1 : 0)) + exogenous.size();
  }
  float unscale(Index column, float scaled) const { return mean[column] + std[column] * scaled; }

  void save(io::TensorFile& file, const std::string& prefix) const;
  static SeriesScale load(const io::TensorFile& file, const std::string& prefix);
};

/// Series ready to be read: missing values filled by the last known one, scaled, by series so that
/// a window is contiguous. Filling looks back only: rows before t never depend on later ones.
class Panel {
 public:
  /// data: as it is checked by `require_data`. first: the number of its first series, where it is
  /// not all of them.
  Panel(const SeriesScale& scale, const SeriesData& data, Index first = 0);

  Index steps() const { return steps_; }
  Index series() const { return values_.rows(); }
  Index channels() const { return scale_.channels; }
  const SeriesScale& scale() const { return scale_; }
  /// The number that series s of this panel has in the model.
  Index number(Index s) const { return first_ + s; }

  /// [channels], scaled and filled
  const float* values(Index s, Index row) const {
    return values_.data() + (s * steps_ + row) * channels();
  }
  bool known(Index s, Index row, Index channel) const {
    return known_[static_cast<std::size_t>((s * steps_ + row) * channels() + channel)] != 0;
  }
  /// Exogenous features of a row, standardised. [F]
  const float* exogenous(Index row) const { return exogenous_.row(row).data(); }
  /// All steps of each series up to `rows`, for the relation. [S, rows * C]
  Matrix<float> history(Index rows) const { return values_.leftCols(rows * channels()); }

  /// What the encoder reads of a step: its values, which of them are known, how they compare with
  /// other series', and the exogenous features of the step after it, the first one to forecast.
  /// out: [scale.inputs()]
  void write_event(Index s, Index row, float* out) const;

 private:
  const SeriesScale& scale_;
  Index first_;
  Index steps_;
  Matrix<float> values_;                        ///< [S, steps * C]
  std::vector<unsigned char> known_;            ///< [S, steps * C]
  Matrix<float> exogenous_;                     ///< [rows given, F]
  RowVector<float> level_slope_, level_shift_;  ///< [S * C]: level = slope * scaled + shift
};

/// Throws InvalidArgument unless `data` has the series, channels and exogenous features of the
/// model, `exogenous_rows` rows of these or more, and no infinite value.
void require_data(const SeriesData& data, Index series, Index channels, Index features,
                  Index exogenous_rows);

}  // namespace ecseq::pipeline
