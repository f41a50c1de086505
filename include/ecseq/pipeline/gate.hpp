#pragma once

#include <string>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/targets.hpp"

namespace ecseq::pipeline {

/// output = base_weight * base + head_weight * head + bias, fitted on validation rows by maximum
/// likelihood. If the stacked output is worse than the base there by any of its metrics, the gate
/// keeps the base alone: relations never cost accuracy where it could be seen. In a regression it
/// is base + w (head - base) with w in [0, 1] by least squares, and only if the w of every other
/// row helps the rest as well.
struct Gate {
  bool stacked = false;
  double base_weight = 1.0;
  double head_weight = 0.0;
  double bias = 0.0;

  /// Of one output each, where it is stacked.
  float stack(float base, double head) const {
    return static_cast<float>(base_weight * base + head_weight * head + bias);
  }
  /// base, head: [n, outputs]
  Matrix<float> apply(const Matrix<float>& base, const Matrix<float>& head) const;
};

/// base, head: [n, outputs] on the validation rows. weights: [n] of mean 1, or empty; class weights
/// ask for shifted probabilities, and the gate must not shift them back.
Gate fit_gate(const Matrix<float>& base, const Matrix<float>& head, const Targets& y,
              const std::vector<float>& weights = {});

}  // namespace ecseq::pipeline
