#pragma once

#include <string>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/targets.hpp"

namespace ecseq::serving {

/// From logits to probabilities, by the calibration that the model file holds if it holds one:
/// Platt's sigmoid or rising steps joined by lines, of several classes each against the rest.
class Link {
 public:
  Link() = default;
  /// metadata: pipeline::ModelOptions::metadata, JSON of the estimator or any other text. Throws
  /// FileError for a calibration that does not fit.
  Link(Task task, Index outputs, const std::string& metadata);

  /// logits, values: [outputs]
  void apply(const float* logits, float* values) const;

 private:
  struct Curve {
    bool steps = false;
    double slope = 1.0, intercept = 0.0;
    std::vector<double> logits, shares;
    double at(double logit) const;
  };

  Task task_ = Task::kBinary;
  Index outputs_ = 1;
  std::vector<Curve> curves_;  ///< none without a calibration
};

}  // namespace ecseq::serving
