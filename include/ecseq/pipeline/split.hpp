#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ecseq/core/targets.hpp"

namespace ecseq::pipeline {

/// Rows to train on and rows to validate on, each in increasing order.
struct Split {
  std::vector<Index> training;
  std::vector<Index> validation;
};

/// The latest `fraction` of the rows validates. Rows of equal time stay together.
Split split_by_time(std::span<const double> times, double fraction);

/// A random `fraction` of each class (of the rows, for regression) validates; every class keeps at
/// least one training row, and has a validation row where it has two rows or more.
Split split_at_random(const Targets& y, double fraction, std::uint64_t seed);

}  // namespace ecseq::pipeline
