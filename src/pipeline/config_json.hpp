#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ecseq/core/error.hpp"

// How a file's configuration is read: by nothing that would convert in silence. nlohmann's own
// conversions cut a number that does not fit, and a fraction that does not is undefined behaviour.

namespace ecseq::pipeline {

/// No size is near; a product of two still fits 64 bits.
inline constexpr std::int64_t kLargestInConfig = std::int64_t{1} << 31;

template <class T>
concept WholeNumber = std::is_integral_v<T> && !std::is_same_v<T, bool>;

/// Texts, truth values and fractions, whose JSON types are told apart as they are.
/// Throws nlohmann::json::exception for another type.
template <class T>
requires(!WholeNumber<T>) void read_value(const nlohmann::json& from, const char*, T& to) {
  from.get_to(to);
}

/// Throws InvalidArgument, which names `name`, for anything but a whole number of the type's range.
template <WholeNumber T>
void read_value(const nlohmann::json& from, const char* name, T& to) {
  const auto fits = [](auto value) {
    return std::in_range<T>(value) && std::cmp_less_equal(value, kLargestInConfig) &&
           std::cmp_greater_equal(value, -kLargestInConfig);
  };
  const bool good = from.is_number_unsigned()
                        ? fits(from.get<std::uint64_t>())
                        : from.is_number_integer() && fits(from.get<std::int64_t>());
  if (!good) {
    throw InvalidArgument(std::string(name) + ": expected a whole number in range, got a " +
                          (from.is_number_integer() ? "larger one" : from.type_name()));
  }
  to = static_cast<T>(from.get<std::int64_t>());
}

template <class T>
void read_value(const nlohmann::json& from, const char* name, std::vector<T>& to) {
  to.clear();
  for (const auto& value : from.get_ref<const nlohmann::json::array_t&>()) {
    read_value(value, name, to.emplace_back());
  }
}

/// For a visit of options by name: writes each into `to`.
inline auto config_writer(nlohmann::json& to) {
  return [&to](const char* name, const auto& value) { to[name] = value; };
}

/// Reads each. Throws nlohmann::json::exception where `from` is no object or lacks one.
inline auto config_reader(const nlohmann::json& from) {
  return [&from](const char* name, auto& value) { read_value(from.at(name), name, value); };
}

/// Reads each; one that an older file does not name keeps its default.
inline auto lenient_config_reader(const nlohmann::json& from) {
  from.get_ref<const nlohmann::json::object_t&>();  // refuses what is none
  return [&from](const char* name, auto& value) {
    if (from.contains(name)) read_value(from.at(name), name, value);
  };
}

}  // namespace ecseq::pipeline
