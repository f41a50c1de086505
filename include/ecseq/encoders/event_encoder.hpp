#pragma once

#include <string>
#include <vector>

#include "ecseq/core/sequences.hpp"
#include "ecseq/encoders/encoder_options.hpp"
#include "ecseq/encoders/named_tensors.hpp"
#include "ecseq/kernels/recurrence.hpp"
#include "ecseq/nn/recurrent_layer.hpp"

namespace ecseq::encoders {

/// Events as the network reads them. From left to right:
/// - numeric columns, standardised by the training events;
/// - with time features: log(1 + seconds since the event before), standardised, 0 for the first
///   event of a sequence; then sine and cosine of the hour of the day and of the day of the week;
/// - the embedding of each categorical column; row 0 of its table stands for categories that
///   training did not know, or hardly.
class EventEncoder {
 public:
  EventEncoder() = default;
  /// Learns statistics and vocabularies from the events that some sequence covers, each counted
  /// once. Throws InvalidArgument where a categorical column is not among the features, and where
  /// times are to be read and there are none.
  EventEncoder(const SequencesView& training, const EncoderOptions& options);
  /// From what `add_to` gave. Throws FileError.
  EventEncoder(NamedTensors& tensors, const EncoderOptions& options);

  /// Statistics and vocabularies; the embedding tables are among the parameters.
  void add_to(NamedTensors::Map& tensors) const;

  /// Columns of a raw event and of an encoded one.
  Index features() const { return static_cast<Index>(numeric_.size() + categorical_.size()); }
  Index inputs() const;
  /// Whether events are numbers to be standardised and nothing else: then layers read them as they
  /// lie, by `standardisation`.
  bool is_plain() const { return categorical_.empty() && !time_features_; }
  bool reads_times() const { return time_features_; }
  kernels::Standardisation standardisation() const { return {mean_.data(), scale_.data()}; }

  /// Throws InvalidArgument unless `sequences` hold what is read.
  void require_fit(const SequencesView& sequences, const char* name) const;

  /// Adds the embedding tables, their rows normal (0, 0.1), row 0 zero.
  void declare(nn::Parameters<float>& parameters, Rng& rng);
  /// Shrinks embeddings to their longest norm.
  void project(nn::Parameters<float>& parameters) const;

  /// out: [length, inputs] of sequence i
  void encode(const nn::Parameters<float>& parameters, const SequencesView& sequences, Index i,
              float* out) const;
  /// One event. event: [features]; time, before: of the event and of the one before it, read with
  /// time features only; before is null for a first event; out: [inputs]
  void encode(const nn::Parameters<float>& parameters, const float* event, double time,
              const double* before, float* out) const;
  /// The events of sequences `rows`, one after the other: [events, inputs].
  autograd::Variable<float> encode(const nn::BoundParameters<float>& parameters,
                                   const SequencesView& sequences, std::span<const Index> rows,
                                   Index events) const;

  // What next-event prediction asks for.

  /// Columns before the embeddings: numeric ones and time.
  Index dense_inputs() const;
  /// out: [length, dense_inputs] of sequence i, rows `stride` apart
  void encode_dense(const SequencesView& sequences, Index i, float* out, Index stride) const;
  Index n_categorical() const { return static_cast<Index>(categorical_.size()); }
  /// Rows of the table of categorical column c, the unknown row included.
  Index vocabulary_size(Index c) const;
  /// The row of an event's category.
  Index category(Index c, const float* event) const;

 private:
  struct Vocabulary {
    CategoricalColumn options;
    std::vector<float> codes;  ///< sorted; code k has row k + 1
    int table = -1;            ///< number of the parameter
  };

  void find_numeric(Index features);
  void learn_statistics(const SequencesView& training, const std::vector<bool>& covered);
  void learn_vocabularies(const SequencesView& training, const std::vector<bool>& covered);
  void learn_gaps(const SequencesView& training);
  void encode_numbers(const float* event, float* out) const;
  void encode_time(double time, const double* before, float* out) const;

  std::vector<Index> numeric_;  ///< columns
  Matrix<float> mean_;          ///< [1, numeric]
  Matrix<float> scale_;         ///< [1, numeric] 1 / standard deviation
  std::vector<Vocabulary> categorical_;
  bool time_features_ = false;
  float gap_mean_ = 0.0F;   ///< of log(1 + gap)
  float gap_scale_ = 1.0F;  ///< 1 / its standard deviation
};

}  // namespace ecseq::encoders
