#pragma once

#include <string>
#include <vector>

#include "ecseq/serving/scorer.hpp"
#include "messages.hpp"

namespace service {

/// What a model wants to be told. The names of its features, and which of them are texts, stand in
/// the file where `ecseq fit` or EventLayout wrote it; else `features` may name them.
/// Throws InvalidArgument where `features` are not as many as the model's.
Schema schema_of(const ecseq::serving::Scorer& scorer, const std::vector<std::string>& features);

}  // namespace service
