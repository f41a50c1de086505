#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq {

/// A ragged batch of sequences over one table of events. Sequence i is the rows
/// [starts[i], stops[i]) of `values`, oldest event first. Sequences may overlap:
/// windows over one history share its events. Owns nothing.
struct SequencesView {
  MatrixView<float> values;              ///< [events, features]
  const std::int64_t* starts = nullptr;  ///< [size]
  const std::int64_t* stops = nullptr;   ///< [size], stops[i] > starts[i]
  Index size = 0;
  const double* times = nullptr;  ///< [events] seconds since 1970, or null where there are none

  Index length(Index i) const { return stops[i] - starts[i]; }
  Index features() const { return values.cols; }
  /// First event of sequence i; the others follow contiguously.
  const float* events(Index i) const { return values.row(starts[i]); }
  /// Events of all sequences together, an event of several counted for each.
  Index total_length() const {
    Index total = 0;
    for (Index i = 0; i < size; ++i) total += length(i);
    return total;
  }
};

/// An owning ragged batch, for C++ callers.
class Sequences {
 public:
  Sequences() = default;
  /// values: [events, features]; sequence i is rows [offsets[i], offsets[i + 1]).
  /// Throws InvalidArgument where offsets do not increase or pass the end, and where a
  /// value is not finite (row and column are named).
  Sequences(Matrix<float> values, const std::vector<std::int64_t>& offsets);
  /// Arbitrary, possibly overlapping, row ranges.
  Sequences(Matrix<float> values, std::vector<std::int64_t> starts,
            std::vector<std::int64_t> stops);

  /// One sequence per event: the last `length` events of its sequence up to it. In the
  /// order of the events; the values are copied once, not per window.
  Sequences windows(Index length) const;
  /// The sequences `rows`, sharing nothing with this object.
  Sequences subset(const std::vector<Index>& rows) const;

  /// Says when each event happened, in seconds since 1970. [events]
  /// Throws InvalidArgument where a time is not finite or earlier than the one before it in the
  /// same sequence, and for another number of times than events.
  void set_times(std::vector<double> times);

  Index size() const { return static_cast<Index>(starts_.size()); }
  Index features() const { return values_.cols(); }
  SequencesView view() const {
    return {values_, starts_.data(), stops_.data(), size(),
            times_.empty() ? nullptr : times_.data()};
  }
  operator SequencesView() const { return view(); }  // NOLINT: views convert implicitly

 private:
  Matrix<float> values_;
  std::vector<std::int64_t> starts_;
  std::vector<std::int64_t> stops_;
  std::vector<double> times_;  ///< [events] or empty
};

/// The boundary check: throws InvalidArgument naming the first bad sequence, row, column or time.
void validate(const SequencesView& sequences);

/// Throws InvalidArgument naming the row and column of the first non-finite value.
/// `name` is the argument's name in the message.
void require_finite(MatrixView<float> x, const char* name);
/// The same for the rows [begin, end).
void require_finite(MatrixView<float> x, const char* name, Index begin, Index end);

}  // namespace ecseq
