#pragma once

#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq {

enum class Task { kBinary, kMulticlass, kRegression };

/// What is to be predicted, one value per sequence, or per event where it says so.
struct Targets {
  Task task = Task::kBinary;
  int n_classes = 2;          ///< 0 for regression
  std::vector<float> values;  ///< class number 0 .. n_classes-1, or the real value

  Index size() const { return static_cast<Index>(values.size()); }
  /// Columns of a prediction before its link function: one logit, one logit per class, or the
  /// value itself.
  Index n_outputs() const { return task == Task::kMulticlass ? n_classes : 1; }
  Targets subset(const std::vector<Index>& rows) const {
    Targets out{task, n_classes, {}};
    out.values.reserve(rows.size());
    for (const Index row : rows) out.values.push_back(values[static_cast<std::size_t>(row)]);
    return out;
  }
};

/// Throws InvalidArgument where a value is not finite or a class number is out of range, and for
/// another number of values than `rows`.
void validate_values(const Targets& targets, Index rows);
/// The same, and where a classification target holds one class only.
void validate(const Targets& targets, Index rows);

}  // namespace ecseq
