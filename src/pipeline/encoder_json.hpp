#pragma once

#include <nlohmann/json.hpp>

#include "ecseq/encoders/encoder_options.hpp"

namespace ecseq::encoders {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CategoricalColumn, column, dimension, max_norm, min_count)

/// What the network is; how it was trained stays behind.
inline nlohmann::json architecture_to_json(const EncoderOptions& options) {
  nlohmann::json out;
  visit_architecture(options, [&](const char* name, const auto& value) { out[name] = value; });
  return out;
}

/// Options that an older file does not name keep their defaults.
inline EncoderOptions architecture_from_json(const nlohmann::json& json) {
  EncoderOptions options;
  visit_architecture(options, [&](const char* name, auto& value) {
    if (json.contains(name)) json.at(name).get_to(value);
  });
  return options;
}

}  // namespace ecseq::encoders
