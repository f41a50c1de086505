#include "ecseq/core/targets.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "ecseq/core/error.hpp"

namespace ecseq {

void validate_values(const Targets& targets, Index rows) {
  if (targets.size() != rows) {
    throw InvalidArgument("y: expected " + std::to_string(rows) + " labels, got " +
                          std::to_string(targets.size()));
  }
  for (std::size_t i = 0; i < targets.values.size(); ++i) {
    const float value = targets.values[i];
    if (!std::isfinite(value)) {
      throw InvalidArgument("y: value at row " + std::to_string(i) + " is not finite");
    }
    if (targets.task == Task::kRegression) continue;
    if (value < 0 || value >= static_cast<float>(targets.n_classes) || value != std::floor(value)) {
      throw InvalidArgument("y: class number at row " + std::to_string(i) + " is outside 0.." +
                            std::to_string(targets.n_classes - 1));
    }
  }
}

void validate(const Targets& targets, Index rows) {
  validate_values(targets, rows);
  const auto& values = targets.values;
  const auto other = [&](float value) { return value != values.front(); };
  if (targets.task != Task::kRegression && std::none_of(values.begin(), values.end(), other)) {
    throw InvalidArgument("y: only one class is present; a classifier needs at least two");
  }
}

}  // namespace ecseq
