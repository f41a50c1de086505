#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace service {

/// A request's body is not what was asked for; the message names the field.
class BadMessage : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  /// field: perhaps of the client's own invention, so shown only as far as a name reasonably goes.
  BadMessage(const std::string& field, const std::string& what)
      : std::runtime_error(field.substr(0, 100) + ": " + what) {}
};

/// What a text may be before anything is built from it.
struct JsonLimits {
  std::size_t bytes = 16 << 20;
  std::size_t depth = 8;  ///< of arrays and objects within each other
};

/// The value that `text` stands for. Throws BadMessage where it is longer or deeper than the
/// limits, no JSON (NaN and infinities are none), holds a number beyond a double, or an object
/// that names a field twice.
nlohmann::json parse_json(std::string_view text, const JsonLimits& limits = {});

/// Appends the shortest text that reads back as the same number; null for one that is not finite.
void append_number(std::string& out, float value);
void append_number(std::string& out, double value);
/// Appends a quoted and escaped text; what is not UTF-8 is replaced.
void append_text(std::string& out, std::string_view text);

}  // namespace service
