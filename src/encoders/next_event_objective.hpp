#pragma once

#include <vector>

#include "objective.hpp"

namespace ecseq::encoders {

/// Self-supervision: the state after each event predicts the next one of its sequence. Numeric and
/// time columns by the Huber loss of their standardised values, each categorical column by the
/// cross-entropy over its vocabulary; the loss of an event is the sum over its columns. A linear
/// head per kind, which the encoder does not keep.
class NextEventObjective final : public Objective {
 public:
  /// Adds the heads to `parameters`. All arguments but that must outlive this object; `validation`
  /// may hold no sequence.
  NextEventObjective(const EncoderState& state, const SequencesView& training,
                     const SequencesView& validation, int num_threads,
                     const ProgressCallback& progress, const Progress& where,
                     nn::Parameters<float>& parameters, Rng& rng);

  RowsOf rows_of() const override { return RowsOf::kEvents; }
  Index outputs() const override;
  autograd::Variable<float> loss(const nn::BoundParameters<float>& bound,
                                 autograd::Variable<float> x,
                                 std::span<const Index> rows) const override;
  bool has_validation() const override { return validation_pairs_ > 0; }
  nn::ValidationScore validate(const nn::Parameters<float>& parameters) const override;

 private:
  struct Head {
    int weight, bias;
  };
  autograd::Variable<float> loss(const nn::BoundParameters<float>& bound,
                                 autograd::Variable<float> x, const SequencesView& sequences,
                                 std::span<const Index> rows, float weight) const;

  const EncoderState& state_;
  const SequencesView& training_;
  const SequencesView& validation_;
  int num_threads_;
  const ProgressCallback& progress_;
  const Progress& where_;
  Index training_pairs_ = 0;  ///< events that have a next one
  Index validation_pairs_ = 0;
  std::vector<Head> heads_;  ///< dense columns (if any), then each categorical column
};

}  // namespace ecseq::encoders
