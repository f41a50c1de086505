#pragma once

#include <span>
#include <string>

namespace ecseq::nn {

/// Ranking quality of `scores` for `labels` (1 = positive, 0 = negative), ties counted as
/// scikit-learn counts them, in O(n log n). NaN where it is undefined: a score is NaN, or a class
/// is missing (average precision and recall need a positive only). Throws InvalidArgument where
/// the lengths differ.

/// P(score of a positive > score of a negative) + P(equal) / 2.
double roc_auc(std::span<const float> scores, std::span<const float> labels);

/// Sum over distinct thresholds of precision times the recall gained there.
double average_precision(std::span<const float> scores, std::span<const float> labels);

/// The largest recall of a threshold whose precision is at least `precision`; 0 where none is.
double recall_at_precision(std::span<const float> scores, std::span<const float> labels,
                           double precision);

/// What early stopping watches where there are two classes: by "auc", by "ap", or else the mean of
/// both.
double ranking_score(std::span<const float> scores, std::span<const float> labels,
                     const std::string& by);

}  // namespace ecseq::nn
