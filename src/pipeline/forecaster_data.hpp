#pragma once

#include <cstdint>
#include <vector>

#include "forecaster_panel.hpp"

namespace ecseq::pipeline {

/// Throws InvalidArgument unless the data is of one shape and some value of the first
/// training_rows, which the scales come from, is known.
void require_training_data(const SeriesData& data, Index training_rows);
/// Throws InvalidArgument unless there are rows from validation_begin on, and a value in them.
void require_validation(const SeriesData& data, Index validation_begin);
/// Series of which no value is known in the first `rows`.
std::vector<std::int64_t> series_without_values(const SeriesData& data, Index rows);

}  // namespace ecseq::pipeline
