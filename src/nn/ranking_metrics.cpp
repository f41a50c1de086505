#include "ecseq/nn/ranking_metrics.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "ecseq/core/error.hpp"

namespace ecseq::nn {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

/// The samples at or above one distinct score.
struct Threshold {
  double true_positives;
  double false_positives;
};

/// One entry per distinct score, highest first; empty if a score is NaN or there are none.
std::vector<Threshold> thresholds(std::span<const float> scores, std::span<const float> labels) {
  if (scores.size() != labels.size()) {
    throw InvalidArgument("labels: expected " + std::to_string(scores.size()) +
                          " values, one per score, got " + std::to_string(labels.size()));
  }
  std::vector<std::pair<float, bool>> samples(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) return {};
    samples[i] = {scores[i], labels[i] > 0.5F};
  }
  std::sort(samples.begin(), samples.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Threshold> out;
  Threshold now{0.0, 0.0};
  for (std::size_t i = 0; i < samples.size(); ++i) {
    (samples[i].second ? now.true_positives : now.false_positives) += 1.0;
    if (i + 1 == samples.size() || samples[i + 1].first != samples[i].first) out.push_back(now);
  }
  return out;
}

}  // namespace

double roc_auc(std::span<const float> scores, std::span<const float> labels) {
  const auto all = thresholds(scores, labels);
  if (all.empty() || all.back().true_positives == 0 || all.back().false_positives == 0) {
    return kUndefined;
  }
  // The trapezoids under the curve from (0, 0) through every threshold.
  double area = 0.0;
  Threshold before{0.0, 0.0};
  for (const Threshold& now : all) {
    area += (now.false_positives - before.false_positives) *
            (now.true_positives + before.true_positives) / 2.0;
    before = now;
  }
  return area / (all.back().true_positives * all.back().false_positives);
}

double average_precision(std::span<const float> scores, std::span<const float> labels) {
  const auto all = thresholds(scores, labels);
  if (all.empty() || all.back().true_positives == 0) return kUndefined;
  double sum = 0.0, before = 0.0;
  for (const Threshold& now : all) {
    sum += (now.true_positives - before) * now.true_positives /
           (now.true_positives + now.false_positives);
    before = now.true_positives;
  }
  return sum / all.back().true_positives;
}

double recall_at_precision(std::span<const float> scores, std::span<const float> labels,
                           double precision) {
  const auto all = thresholds(scores, labels);
  if (all.empty() || all.back().true_positives == 0) return kUndefined;
  double best = 0.0;
  for (const Threshold& now : all) {
    if (now.true_positives / (now.true_positives + now.false_positives) >= precision) {
      best = now.true_positives;
    }
  }
  return best / all.back().true_positives;
}

double ranking_score(std::span<const float> scores, std::span<const float> labels,
                     const std::string& by) {
  if (by == "auc") return roc_auc(scores, labels);
  if (by == "ap") return average_precision(scores, labels);
  return 0.5 * (roc_auc(scores, labels) + average_precision(scores, labels));
}

}  // namespace ecseq::nn
