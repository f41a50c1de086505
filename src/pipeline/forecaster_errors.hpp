#pragma once

#include <nlohmann/json.hpp>
#include <span>

#include "ecseq/autograd/tape.hpp"
#include "forecaster_state.hpp"

namespace ecseq::pipeline {

/// What is to be forecast, and how much an error counts.
class ForecastTargets {
 public:
  ForecastTargets(const ForecasterState& state, const Panel& panel);
  /// values, weights: [outputs]; weight 0 where the value is missing. Returns how many are known.
  Index write(Index series, Index moment, float* values, float* weights) const;

 private:
  const ForecasterState& state_;
  const Panel& panel_;
  RowVector<float> weights_;  ///< [S * C], square roots of the weights of squared errors
};

/// Sum over rows and outputs of (weight (forecast - value))^2. values, weights: [n, outputs];
/// values are overwritten.
autograd::Variable<float> weighted_squares(autograd::Variable<float> forecast, float* values,
                                           const float* weights);

/// Mean weighted squared error of scaled forecasts.
class ErrorSum {
 public:
  explicit ErrorSum(const ForecastTargets& targets) : targets_(targets) {}
  /// forecast: [moments * S, outputs]
  void add(std::span<const Index> moments, Index n_series, const Matrix<float>& forecast);
  double mean() const { return known_ > 0 ? squares_ / static_cast<double>(known_) : 0.0; }

 private:
  const ForecastTargets& targets_;
  double squares_ = 0.0;
  Index known_ = 0;
};

/// RMSE and MAE in the units of Y, over all series, horizons and channels; null where no value is
/// known. forecast: [moments * S, outputs]
nlohmann::json errors_in_units(const SeriesData& data, std::span<const Index> moments,
                               Index horizon, const Matrix<float>& forecast);

}  // namespace ecseq::pipeline
