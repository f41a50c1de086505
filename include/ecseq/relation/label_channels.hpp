#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/targets.hpp"

namespace ecseq::relation {

/// Labels as numbers a representative can average: the label itself (binary), one column per class
/// (multi-class), or the standardised value (regression).
struct LabelChannels {
  Matrix<float> values;       ///< [n, channels]
  std::vector<double> prior;  ///< [channels], mean over all rows
};

/// target_mean and target_std standardise a regression target; ignored otherwise.
inline LabelChannels label_channels(const Targets& y, double target_mean, double target_std) {
  const Index n = y.size();
  LabelChannels out;
  out.values = Matrix<float>::Zero(n, y.n_outputs());
  for (Index i = 0; i < n; ++i) {
    const float value = y.values[static_cast<std::size_t>(i)];
    switch (y.task) {
      case Task::kBinary:
        out.values(i, 0) = value;
        break;
      case Task::kMulticlass:
        out.values(i, static_cast<Index>(value)) = 1.0f;
        break;
      case Task::kRegression:
        out.values(i, 0) = static_cast<float>((value - target_mean) / target_std);
        break;
    }
  }
  for (Index c = 0; c < out.values.cols(); ++c) {
    out.prior.push_back(out.values.col(c).cast<double>().mean());
  }
  return out;
}

/// What `sum` of `mass` labels says beyond the prior, shrunk towards it as if `strength` labels at
/// the prior had been seen as well: log-odds against the prior for classes, the mean itself for a
/// standardised regression target.
inline float label_evidence(Task task, double sum, double mass, double prior, double strength) {
  const double mean = (sum + strength * prior) / (mass + strength);
  if (task == Task::kRegression) return static_cast<float>(mean);
  const auto log_odds = [](double p) {
    p = std::clamp(p, 1e-5, 1.0 - 1e-5);
    return std::log(p / (1.0 - p));
  };
  return static_cast<float>(log_odds(mean) - log_odds(prior));
}

}  // namespace ecseq::relation
