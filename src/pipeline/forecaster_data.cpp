#include "forecaster_data.hpp"

#include <cmath>
#include <string>

#include "ecseq/core/error.hpp"

namespace ecseq::pipeline {
namespace {

bool any_known(const SeriesData& data, Index begin, Index end) {
  for (Index i = begin * data.values.cols; i < end * data.values.cols; ++i) {
    if (!std::isnan(data.values.data[i])) return true;
  }
  return false;
}

}  // namespace

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

}  // namespace ecseq::pipeline
