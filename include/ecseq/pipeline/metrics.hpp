#pragma once

#include <map>
#include <string>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/targets.hpp"

namespace ecseq::pipeline {

/// The link function: [sigmoid complement, sigmoid] for one logit, softmax for several.
/// logits: [n, outputs] -> [n, classes]. Classification only.
Matrix<float> probabilities(Task task, const Matrix<float>& logits);

/// Binary: auc, ap, recall_at_p90, log_loss. Multi-class: accuracy, log_loss. Regression: rmse,
/// mae. auc and ap are left out where one class only is present. outputs: [n, outputs], logits or
/// values in the target's units.
std::map<std::string, double> metrics(const Matrix<float>& outputs, const Targets& y);

/// One number to stop and compare by, higher is better: (AUC + AP) / 2, minus the cross-entropy,
/// minus the squared error. Where AUC is undefined, minus the log loss. by: "auto" for that, "auc",
/// "ap" or "loss".
double selection_score(const Matrix<float>& outputs, const Targets& y,
                       const std::string& by = "auto");

/// Mean negative log likelihood, or mean squared error. weights: [n] of mean 1, or empty.
double mean_loss(const Matrix<float>& outputs, const Targets& y,
                 const std::vector<float>& weights = {});

}  // namespace ecseq::pipeline
