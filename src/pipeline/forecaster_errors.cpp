#include "forecaster_errors.hpp"

#include <cmath>
#include <vector>

#include "ecseq/autograd/operations.hpp"

namespace ecseq::pipeline {
namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

ForecastTargets::ForecastTargets(const ForecasterState& state, const Panel& panel)
    : state_(state), panel_(panel) {
  const auto& std = state.scale.std;
  weights_ = RowVector<float>::Ones(std.size());
  if (state.options.loss != "units") return;
  // Errors in the units of Y, of one size whatever the units are.
  double squares = 0.0;
  for (Index j = 0; j < std.size(); ++j) squares += static_cast<double>(std[j]) * std[j];
  const double mean = std::sqrt(squares / static_cast<double>(std.size()));
  for (Index j = 0; j < std.size(); ++j) weights_[j] = static_cast<float>(std[j] / mean);
}

Index ForecastTargets::write(Index series, Index moment, float* values, float* weights) const {
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

autograd::Variable<float> weighted_squares(autograd::Variable<float> forecast, float* values,
                                           const float* weights) {
  auto& tape = forecast.tape();
  const Index count = forecast.rows() * forecast.cols();
  for (Index i = 0; i < count; ++i) values[i] *= weights[i];
  const MatrixView<float> shape(weights, forecast.rows(), forecast.cols());
  return autograd::squared_error(autograd::multiply(forecast, tape.constant(shape)),
                                 {values, forecast.rows(), forecast.cols()}, nullptr);
}

void ErrorSum::add(std::span<const Index> moments, Index n_series, const Matrix<float>& forecast) {
  std::vector<float> values(at(forecast.cols())), weights(at(forecast.cols()));
  for (Index row = 0; row < forecast.rows(); ++row) {
    known_ +=
        targets_.write(row % n_series, moments[at(row / n_series)], values.data(), weights.data());
    for (Index j = 0; j < forecast.cols(); ++j) {
      const double error = static_cast<double>(weights[at(j)]) * (forecast(row, j) - values[at(j)]);
      squares_ += error * error;
    }
  }
}

nlohmann::json errors_in_units(const SeriesData& data, std::span<const Index> moments,
                               Index horizon, const Matrix<float>& forecast) {
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

}  // namespace ecseq::pipeline
