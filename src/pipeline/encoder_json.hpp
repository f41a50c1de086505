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
  using pipeline::read_value;
  read_value(from.at("column"), "column", to.column);
  read_value(from.at("dimension"), "dimension", to.dimension);
  read_value(from.at("max_norm"), "max_norm", to.max_norm);
  read_value(from.at("min_count"), "min_count", to.min_count);
}

/// What the network is; how it was trained stays behind.
inline nlohmann::json architecture_to_json(const EncoderOptions& options) {
  nlohmann::json out;
  visit_architecture(options, [&](const char* name, const auto& value) { out[name] = value; });
  return out;
}

/// Options that an older file does not name keep their defaults.
inline EncoderOptions architecture_from_json(const nlohmann::json& json) {
  json.get_ref<const nlohmann::json::object_t&>();  // refuses what is none
  EncoderOptions options;
  visit_architecture(options, [&](const char* name, auto& value) {
    if (json.contains(name)) pipeline::read_value(json.at(name), name, value);
  });
  return options;
}

}  // namespace ecseq::encoders
