#include "ecseq/pipeline/metrics.hpp"

#include <algorithm>
#include <cmath>

#include "ecseq/nn/ranking_metrics.hpp"

namespace ecseq::pipeline {
namespace {

double log1p_exp(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

bool has_both_classes(const Targets& y) {
  return std::any_of(y.values.begin(), y.values.end(),
                     [&](float value) { return value != y.values.front(); });
}

double log_sum_exp(const float* logits, Index n) {
  const double highest = *std::max_element(logits, logits + n);
  double sum = 0.0;
  for (Index c = 0; c < n; ++c) sum += std::exp(logits[c] - highest);
  return highest + std::log(sum);
}

double row_loss(Task task, const float* outputs, Index n, float target) {
  switch (task) {
    case Task::kBinary:
      return log1p_exp(target > 0.5f ? -outputs[0] : outputs[0]);
    case Task::kMulticlass:
      return log_sum_exp(outputs, n) - outputs[static_cast<Index>(target)];
    case Task::kRegression:
      break;
  }
  const double error = static_cast<double>(outputs[0]) - target;
  return error * error;
}

std::span<const float> column(const Matrix<float>& outputs) {
  return {outputs.data(), static_cast<std::size_t>(outputs.size())};
}

}  // namespace

Matrix<float> probabilities(Task task, const Matrix<float>& logits) {
  if (task == Task::kBinary) {
    Matrix<float> out(logits.rows(), 2);
    for (Index i = 0; i < logits.rows(); ++i) {
      const double p = 1.0 / (1.0 + std::exp(-static_cast<double>(logits(i, 0))));
      out(i, 1) = static_cast<float>(p);
      out(i, 0) = static_cast<float>(1.0 - p);
    }
    return out;
  }
  Matrix<float> out(logits.rows(), logits.cols());
  for (Index i = 0; i < logits.rows(); ++i) {
    const double norm = log_sum_exp(logits.row(i).data(), logits.cols());
    for (Index c = 0; c < logits.cols(); ++c) {
      out(i, c) = static_cast<float>(std::exp(logits(i, c) - norm));
    }
  }
  return out;
}

double mean_loss(const Matrix<float>& outputs, const Targets& y,
                 const std::vector<float>& weights) {
  double sum = 0.0;
  for (Index i = 0; i < outputs.rows(); ++i) {
    const double weight = weights.empty() ? 1.0 : weights[static_cast<std::size_t>(i)];
    sum += weight * row_loss(y.task, outputs.row(i).data(), outputs.cols(),
                             y.values[static_cast<std::size_t>(i)]);
  }
  return sum / static_cast<double>(outputs.rows());
}

std::map<std::string, double> metrics(const Matrix<float>& outputs, const Targets& y) {
  std::map<std::string, double> out;
  const double n = static_cast<double>(outputs.rows());
  if (y.task == Task::kRegression) {
    double absolute = 0.0;
    for (Index i = 0; i < outputs.rows(); ++i) {
      absolute +=
          std::abs(static_cast<double>(outputs(i, 0)) - y.values[static_cast<std::size_t>(i)]);
    }
    out["rmse"] = std::sqrt(mean_loss(outputs, y));
    out["mae"] = absolute / n;
    return out;
  }
  out["log_loss"] = mean_loss(outputs, y);
  if (y.task == Task::kMulticlass) {
    double right = 0.0;
    for (Index i = 0; i < outputs.rows(); ++i) {
      Index best = 0;
      outputs.row(i).maxCoeff(&best);
      right += best == static_cast<Index>(y.values[static_cast<std::size_t>(i)]);
    }
    out["accuracy"] = right / n;
    return out;
  }
  if (has_both_classes(y)) {
    out["auc"] = nn::roc_auc(column(outputs), y.values);
    out["ap"] = nn::average_precision(column(outputs), y.values);
    out["recall_at_p90"] = nn::recall_at_precision(column(outputs), y.values, 0.9);
  }
  return out;
}

double selection_score(const Matrix<float>& outputs, const Targets& y, const std::string& by) {
  if (y.task == Task::kBinary && has_both_classes(y) && by != "loss") {
    return nn::ranking_score(column(outputs), y.values, by);
  }
  return -mean_loss(outputs, y);
}

}  // namespace ecseq::pipeline
