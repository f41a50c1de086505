#pragma once

#include <nlohmann/json.hpp>

#include "ecseq/nn/training.hpp"
#include "ecseq/relation/series_relation.hpp"

namespace ecseq::pipeline {

/// The learning curve, and why training stopped.
nlohmann::json report_of(const nn::TrainingReport& report);
nlohmann::json report_of(const relation::SeriesRelation& relation);

}  // namespace ecseq::pipeline
