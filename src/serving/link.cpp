#include "link.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "ecseq/core/error.hpp"

namespace ecseq::serving {
namespace {

using nlohmann::json;

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

bool rises(const std::vector<double>& x, bool strictly) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i])) return false;
    if (i > 0 && (strictly ? !(x[i] > x[i - 1]) : !(x[i] >= x[i - 1]))) return false;
  }
  return true;
}

}  // namespace

Link::Link(Task task, Index outputs, const std::string& metadata) : task_(task), outputs_(outputs) {
  const json description = json::parse(metadata, nullptr, false);
  if (!description.is_object() || !description.contains("calibration")) return;
  const auto refuse = [] { throw FileError("model file: the calibration does not fit the model"); };
  if (task == Task::kRegression) refuse();
  try {
    for (const json& saved : description.at("calibration").at("curves")) {
      Curve curve;
      if (saved.is_object() && saved.contains("logits")) {
        curve.steps = true;
        saved.at("logits").get_to(curve.logits);
        saved.at("shares").get_to(curve.shares);
        const bool fits = !curve.logits.empty() && curve.logits.size() == curve.shares.size() &&
                          rises(curve.logits, true) && rises(curve.shares, false) &&
                          curve.shares.front() > 0.0 && curve.shares.back() < 1.0;
        if (!fits) refuse();
      } else if (!saved.is_null()) {  // null: a class that no row held stays as it is
        saved.at("slope").get_to(curve.slope);
        saved.at("intercept").get_to(curve.intercept);
        if (!(curve.slope >= 0.0 && std::isfinite(curve.slope) && std::isfinite(curve.intercept))) {
          refuse();
        }
      }
      curves_.push_back(std::move(curve));
    }
  } catch (const json::exception&) {
    refuse();
  }
  if (static_cast<Index>(curves_.size()) != outputs) refuse();
}

double Link::Curve::at(double logit) const {
  if (!steps) return sigmoid(slope * logit + intercept);
  const auto above = std::upper_bound(logits.begin(), logits.end(), logit);
  if (above == logits.begin()) return shares.front();
  if (above == logits.end()) return shares.back();
  const auto i = static_cast<std::size_t>(above - logits.begin());
  const double share = (logit - logits[i - 1]) / (logits[i] - logits[i - 1]);
  return shares[i - 1] + share * (shares[i] - shares[i - 1]);
}

void Link::apply(const float* logits, float* values) const {
  if (task_ == Task::kRegression) {
    std::copy_n(logits, outputs_, values);
    return;
  }
  if (task_ == Task::kBinary) {
    const double logit = logits[0];
    values[0] = static_cast<float>(curves_.empty() ? sigmoid(logit) : curves_.front().at(logit));
    return;
  }
  const double largest = *std::max_element(logits, logits + outputs_);
  double total = 0.0;
  for (Index c = 0; c < outputs_; ++c) total += std::exp(logits[c] - largest);
  if (curves_.empty()) {
    for (Index c = 0; c < outputs_; ++c) {
      values[c] = static_cast<float>(std::exp(logits[c] - largest) / total);
    }
    return;
  }
  // Log-odds of each class against all others, then its curve, then to sum 1.
  double sum = 0.0;
  for (Index c = 0; c < outputs_; ++c) {
    double rest = 0.0;
    for (Index other = 0; other < outputs_; ++other) {
      if (other != c) rest += std::exp(logits[other] - largest);
    }
    rest = std::max(rest, std::numeric_limits<double>::min());
    const double share =
        curves_[static_cast<std::size_t>(c)].at(logits[c] - largest - std::log(rest));
    values[c] = static_cast<float>(share);
    sum += share;
  }
  for (Index c = 0; c < outputs_; ++c) values[c] = static_cast<float>(values[c] / sum);
}

}  // namespace ecseq::serving
