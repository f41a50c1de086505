#pragma once

#include <nlohmann/json.hpp>

#include "config_json.hpp"
#include "ecseq/encoders/encoder_options.hpp"

namespace ecseq::encoders {

inline void to_json(nlohmann::json& json, const CategoricalColumn& column) {
  json = {{"column", column.column},
          {"dimension", column.dimension},
          {"max_norm", column.max_norm},
          {"min_count", column.min_count}};
}
inline void read_value(const nlohmann::json& from, const char*, CategoricalColumn& to) {
  const auto read = pipeline::config_reader(from);
  read("column", to.column);
  read("dimension", to.dimension);
  read("max_norm", to.max_norm);
  read("min_count", to.min_count);
}

/// What the network is; how it was trained stays behind.
inline nlohmann::json architecture_to_json(const EncoderOptions& options) {
  nlohmann::json out;
  visit_architecture(options, pipeline::config_writer(out));
  return out;
}

/// Options that an older file does not name keep their defaults.
inline EncoderOptions architecture_from_json(const nlohmann::json& json) {
  EncoderOptions options;
  visit_architecture(options, pipeline::lenient_config_reader(json));
  return options;
}

}  // namespace ecseq::encoders
