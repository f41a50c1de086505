#pragma once

#include <string>

#include "ecseq/pipeline/model.hpp"

namespace service {

/// As JSON, its fields named as in pipeline::Explanation; facts of entities by their names.
std::string explanation_text(const ecseq::pipeline::Explanation& explanation);

}  // namespace service
