#pragma once

#include <span>

#include "encoder_state.hpp"

namespace ecseq::encoders {

/// What an encoder is trained for.
class Objective {
 public:
  virtual ~Objective() = default;

  /// What `loss` is given: embeddings of sequences, or states after each event.
  virtual RowsOf rows_of() const = 0;
  /// Columns of the widest table that `loss` makes per event or sequence.
  virtual Index outputs() const = 0;
  /// The sum of the losses of sequences `rows` of the training part.
  virtual autograd::Variable<float> loss(const nn::BoundParameters<float>& bound,
                                         autograd::Variable<float> x,
                                         std::span<const Index> rows) const = 0;
  /// Whether there is anything to validate on.
  virtual bool has_validation() const = 0;
  /// Scores `parameters`, which the state's kernels have already packed, on the validation part.
  virtual nn::ValidationScore validate(const nn::Parameters<float>& parameters) const = 0;
};

}  // namespace ecseq::encoders
