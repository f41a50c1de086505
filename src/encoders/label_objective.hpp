#pragma once

#include <string>
#include <vector>

#include "objective.hpp"

namespace ecseq::encoders {

/// Labelled sequences, or sequences with a label per event.
struct LabelledPart {
  const SequencesView& sequences;
  Targets y;  ///< values standardised for regression
};

/// The head's logits or values against labels: one per sequence, or one per event in a single pass
/// over each sequence.
class LabelObjective final : public Objective {
 public:
  /// `validation` may hold no sequence. Both must outlive this object, as must `state`.
  LabelObjective(const EncoderState& state, const LabelledPart& training,
                 const LabelledPart& validation, int num_threads, const ProgressCallback& progress,
                 const Progress& where);

  RowsOf rows_of() const override { return rows_of_; }
  Index outputs() const override { return training_.y.n_outputs(); }
  autograd::Variable<float> loss(const nn::BoundParameters<float>& bound,
                                 autograd::Variable<float> x,
                                 std::span<const Index> rows) const override;
  bool has_validation() const override { return validation_.sequences.size > 0; }
  nn::ValidationScore validate(const nn::Parameters<float>& parameters) const override;

 private:
  const EncoderState& state_;
  const LabelledPart& training_;
  const LabelledPart& validation_;
  int num_threads_;
  const ProgressCallback& progress_;
  const Progress& where_;
  RowsOf rows_of_;
  std::vector<Index> first_label_;  ///< of each training sequence; empty for a label per sequence
  /// So that the sum of an epoch's losses over the number of sequences is a mean over labels.
  float label_weight_ = 1.0F;
};

/// The mean loss of `outputs` [n, n_outputs], logits or standardised values, and what decides early
/// stopping: for two classes what `by` says (nn::ranking_score), or minus the loss where only one of
/// them is present or `by` is "loss"; else minus the loss.
nn::ValidationScore score(const Matrix<float>& outputs, const Targets& y, const std::string& by);

/// What the head's bias starts from, so that the first epochs are not spent on the base rate: log
/// odds for two classes, log frequencies for several, 0 for standardised values. Weights count.
std::vector<float> initial_head_bias(const Targets& y, const std::vector<float>& class_weight);

}  // namespace ecseq::encoders
