#include "ecseq/pipeline/split.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"

namespace ecseq::pipeline {
namespace {

void require_fraction(double fraction) {
  if (!(fraction > 0.0 && fraction < 1.0)) {
    throw InvalidArgument("validation_fraction: expected a number between 0 and 1, got " +
                          std::to_string(fraction));
  }
}

}  // namespace

Split split_by_time(std::span<const double> times, double fraction) {
  require_fraction(fraction);
  const auto n = times.size();
  if (n < 2) throw InvalidArgument("X: at least 2 rows are needed to hold out a validation part");
  std::vector<double> sorted(times.begin(), times.end());
  std::sort(sorted.begin(), sorted.end());
  const auto held_out = std::clamp<std::size_t>(
      static_cast<std::size_t>(std::llround(fraction * static_cast<double>(n))), 1, n - 1);
  const double border = sorted[n - held_out];
  Split split;
  for (std::size_t i = 0; i < n; ++i) {
    (times[i] < border ? split.training : split.validation).push_back(static_cast<Index>(i));
  }
  if (split.training.empty()) {
    throw InvalidArgument("times: all equal, so no validation part lies after a training part");
  }
  return split;
}

Split split_at_random(const Targets& y, double fraction, std::uint64_t seed) {
  require_fraction(fraction);
  const auto n_groups = static_cast<std::size_t>(std::max(1, y.n_classes));
  std::vector<std::vector<Index>> groups(y.task == Task::kRegression ? 1 : n_groups);
  for (Index i = 0; i < y.size(); ++i) {
    const auto group = y.task == Task::kRegression
                           ? 0
                           : static_cast<std::size_t>(y.values[static_cast<std::size_t>(i)]);
    groups[group].push_back(i);
  }
  Rng rng(seed);
  Split split;
  for (auto& group : groups) {
    if (group.empty()) continue;
    rng.shuffle(group);
    auto held_out =
        static_cast<std::size_t>(std::llround(fraction * static_cast<double>(group.size())));
    held_out = group.size() < 2 ? 0 : std::clamp<std::size_t>(held_out, 1, group.size() - 1);
    const auto border = group.begin() + static_cast<std::ptrdiff_t>(held_out);
    split.validation.insert(split.validation.end(), group.begin(), border);
    split.training.insert(split.training.end(), border, group.end());
  }
  std::sort(split.training.begin(), split.training.end());
  std::sort(split.validation.begin(), split.validation.end());
  if (split.validation.empty()) {
    throw InvalidArgument("X: too few rows (n_samples = " + std::to_string(y.size()) +
                          ") to hold out a validation part");
  }
  return split;
}

}  // namespace ecseq::pipeline
