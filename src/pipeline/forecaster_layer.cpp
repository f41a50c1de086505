#include "forecaster_layer.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ecseq/autograd/operations.hpp"

namespace ecseq::pipeline {

SeriesLayer::SeriesLayer(const Shape& shape, std::uint64_t seed, nn::Parameters<float> parameters)
    : shape_(shape), parameters_(std::move(parameters)) {
  constexpr double kSeriesStd = 0.1;
  Rng rng(seed, 2);
  if (shape.series_id_size > 0) {
    const auto draw = [&](float* series) {
      for (Index i = 0; i < shape.n_series * shape.series_id_size; ++i) {
        series[i] = static_cast<float>(kSeriesStd * rng.normal());
      }
    };
    series_ = parameters_.add_with("series", shape.n_series, shape.series_id_size, draw);
  }
  const auto in = static_cast<double>(width()), hidden = static_cast<double>(shape.hidden);
  // He et al. 2015 before a ReLU, Glorot and Bengio 2010 where there is none.
  const double bound = std::sqrt(6.0 / (shape.relu ? in : in + hidden));
  hidden_weight_ = parameters_.add_uniform("hidden.weight", width(), shape.hidden, bound, rng);
  hidden_bias_ = parameters_.add("hidden.bias", 1, shape.hidden);
  output_weight_ = shape.from_zero
                       ? parameters_.add("output.weight", shape.hidden, shape.outputs)
                       : parameters_.add_uniform("output.weight", shape.hidden, shape.outputs,
                                                 1.0 / std::sqrt(hidden), rng);
  output_bias_ = parameters_.add("output.bias", 1, shape.outputs);
}

void SeriesLayer::pack() {
  hidden_ = {parameters_.view(hidden_weight_), parameters_.data(hidden_bias_)};
  output_ = {parameters_.view(output_weight_), parameters_.data(output_bias_)};
}

autograd::Variable<float> SeriesLayer::forward(const nn::BoundParameters<float>& bound,
                                               autograd::Variable<float> x,
                                               std::span<const Index> series, double dropout,
                                               Rng& rng) const {
  if (series_ >= 0) {
    x = autograd::concat_columns<float>({x, autograd::gather_rows(bound[series_], series)});
  }
  auto z = autograd::linear(x, bound[hidden_weight_], bound[hidden_bias_]);
  if (shape_.relu) z = autograd::relu(z);
  z = autograd::dropout(z, dropout, rng);
  return autograd::linear(z, bound[output_weight_], bound[output_bias_]);
}

void SeriesLayer::predict(const float* x, const Index* series, Index rows, float* out) const {
  const Index id = shape_.series_id_size;
  Matrix<float> inputs(rows, width()), z(rows, hidden_.padded()), y(rows, output_.padded());
  for (Index i = 0; i < rows; ++i) {
    float* to = std::copy_n(x + i * given(), given(), inputs.row(i).data());
    if (id > 0) std::copy_n(parameters_.data(series_) + series[i] * id, id, to);
  }
  kernels::multiply(hidden_, inputs.data(), width(), rows, z.data());
  if (shape_.relu) {
    for (Index i = 0; i < z.size(); ++i) z.data()[i] = std::max(0.0F, z.data()[i]);
  }
  kernels::multiply(output_, z.data(), z.cols(), rows, y.data());
  for (Index i = 0; i < rows; ++i) {
    std::copy_n(y.row(i).data(), shape_.outputs, out + i * shape_.outputs);
  }
}

}  // namespace ecseq::pipeline
