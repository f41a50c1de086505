#pragma once

#include <cstdint>
#include <vector>

#include "forecaster_state.hpp"

namespace ecseq::pipeline {

/// begin, ..., end - 1
std::vector<Index> moments_from(Index begin, Index end);

/// `count` of `moments` at random, in their order, or all of them where count is 0 or more than
/// there are. Not every n-th: n might divide the day.
std::vector<Index> thinned(const std::vector<Index>& moments, Index count, std::uint64_t seed);

/// Moments to learn from and to validate on. A moment's forecast reaches `horizon` rows on, none of
/// which may lie beyond its part.
struct MomentSplit {
  std::vector<Index> encoder_moments;  ///< of the base, which needs no errors before them
  std::vector<Index> layer_moments;
  std::vector<Index> validation;
};

/// steps: rows of Y, those from validation_begin on for validation. Throws InvalidArgument where
/// the training rows do not reach for one forecast, or the others for one horizon.
MomentSplit split_moments(const ForecasterState& state, Index steps, Index validation_begin);

}  // namespace ecseq::pipeline
