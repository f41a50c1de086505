#pragma once

#include <array>
#include <cmath>
#include <string>
#include <utility>

namespace ecseq::relation {

constexpr double kDay = 86400;

inline std::string number_text(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

inline std::string duration_text(double seconds) {
  if (std::isinf(seconds)) return "all history";
  static const std::array<std::pair<double, const char*>, 4> units = {
      {{kDay, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}}};
  for (const auto& [size, name] : units) {
    const double count = seconds / size;
    if (count == std::floor(count) || size == 1) {
      return number_text(count) + " " + name + (count == 1 ? "" : "s");
    }
  }
  return {};
}

/// "days" for one day; "time" where the unit has no name of its own.
inline std::string plural_unit(double seconds) {
  if (seconds == kDay) return "days";
  if (seconds == 3600) return "hours";
  if (seconds == 60) return "minutes";
  if (seconds == 1) return "seconds";
  return "time";
}

}  // namespace ecseq::relation
