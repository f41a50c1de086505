#include "forecaster_moments.hpp"

#include <algorithm>
#include <string>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"

namespace ecseq::pipeline {

std::vector<Index> moments_from(Index begin, Index end) {
  std::vector<Index> out;
  for (Index t = begin; t < end; ++t) out.push_back(t);
  return out;
}

std::vector<Index> thinned(const std::vector<Index>& moments, Index count, std::uint64_t seed) {
  const auto n = static_cast<Index>(moments.size());
  if (count <= 0 || count >= n) return moments;
  Rng rng(seed, 3);
  auto order = rng.permutation(n);
  order.resize(static_cast<std::size_t>(count));
  std::sort(order.begin(), order.end());
  std::vector<Index> out;
  for (const Index i : order) out.push_back(moments[static_cast<std::size_t>(i)]);
  return out;
}

MomentSplit split_moments(const ForecasterState& state, Index steps, Index validation_begin) {
  const auto& options = state.options;
  const Index required = state.required_rows(), horizon = options.horizon;
  const auto number = [](Index n) { return std::to_string(n); };
  if (validation_begin - horizon < required) {
    throw InvalidArgument("window: " + number(options.window) +
                          " steps and what else a forecast needs before it (" + number(required) +
                          " rows), and the horizon (" + number(horizon) + "), are more than the " +
                          number(std::max<Index>(validation_begin, 0)) + " training rows of Y");
  }
  if (validation_begin > steps - horizon) {
    throw InvalidArgument("validation: expected " + number(horizon) +
                          " rows or more (the horizon), got " + number(steps - validation_begin));
  }
  const std::uint64_t seed = options.encoder_training.seed;
  return {
      thinned(moments_from(options.window, validation_begin - horizon + 1), options.max_moments,
              seed),
      thinned(moments_from(required, validation_begin - horizon + 1), options.max_moments, seed),
      moments_from(std::max(validation_begin, required), steps - horizon + 1)};
}

}  // namespace ecseq::pipeline
