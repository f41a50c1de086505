#include "ecseq/core/sequences.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>

#include "ecseq/core/error.hpp"
#include "ecseq/core/require.hpp"

namespace ecseq {
namespace {

std::vector<std::int64_t> starts_of(const std::vector<std::int64_t>& offsets) {
  if (offsets.empty()) throw InvalidArgument("offsets: expected at least one entry, got none");
  return {offsets.begin(), offsets.end() - 1};
}

std::vector<std::int64_t> stops_of(const std::vector<std::int64_t>& offsets) {
  return {offsets.begin() + 1, offsets.end()};
}

}  // namespace

Sequences::Sequences(Matrix<float> values, const std::vector<std::int64_t>& offsets)
    : Sequences(std::move(values), starts_of(offsets), stops_of(offsets)) {}

Sequences::Sequences(Matrix<float> values, std::vector<std::int64_t> starts,
                     std::vector<std::int64_t> stops)
    : values_(std::move(values)), starts_(std::move(starts)), stops_(std::move(stops)) {
  validate(view());
}

Sequences Sequences::windows(Index length) const {
  require_at_least("length", length, 1);
  Sequences out;
  out.values_ = values_;
  out.times_ = times_;
  for (Index i = 0; i < size(); ++i) {
    const auto begin = starts_[static_cast<std::size_t>(i)];
    for (auto stop = begin + 1; stop <= stops_[static_cast<std::size_t>(i)]; ++stop) {
      out.starts_.push_back(std::max<std::int64_t>(begin, stop - length));
      out.stops_.push_back(stop);
    }
  }
  return out;
}

Sequences Sequences::subset(const std::vector<Index>& rows) const {
  Sequences out;
  out.values_ = values_;
  out.times_ = times_;
  for (const Index row : rows) {
    if (row < 0 || row >= size()) {
      throw InvalidArgument("rows: index " + std::to_string(row) + " is outside 0.." +
                            std::to_string(size() - 1));
    }
    out.starts_.push_back(starts_[static_cast<std::size_t>(row)]);
    out.stops_.push_back(stops_[static_cast<std::size_t>(row)]);
  }
  return out;
}

void Sequences::set_times(std::vector<double> times) {
  if (static_cast<Index>(times.size()) != values_.rows()) {
    throw InvalidArgument("times: expected " + std::to_string(values_.rows()) +
                          " values, one per event, got " + std::to_string(times.size()));
  }
  SequencesView timed = view();
  timed.times = times.data();
  validate(timed);
  times_ = std::move(times);
}

void require_finite(MatrixView<float> x, const char* name) { require_finite(x, name, 0, x.rows); }

namespace {

/// Whether all exponents are ordinary ones; a loop that the compiler turns into vectors.
bool all_finite(const float* x, Index count) {
  std::uint32_t bad = 0;
  for (Index i = 0; i < count; ++i) {
    const auto exponent = std::bit_cast<std::uint32_t>(x[i]) & 0x7F800000U;
    bad |= static_cast<std::uint32_t>(exponent == 0x7F800000U);
  }
  return bad == 0;
}

}  // namespace

void require_finite(MatrixView<float> x, const char* name, Index begin, Index end) {
  if (end <= begin || all_finite(x.row(begin), (end - begin) * x.cols)) return;
  for (Index i = begin; i < end; ++i) {
    const float* row = x.row(i);
    for (Index j = 0; j < x.cols; ++j) {
      if (!std::isfinite(row[j])) {
        throw InvalidArgument(std::string(name) + ": " + (std::isnan(row[j]) ? "NaN" : "infinity") +
                              " at row " + std::to_string(i) + ", column " + std::to_string(j));
      }
    }
  }
}

namespace {

void validate_times(const SequencesView& sequences) {
  for (Index i = 0; i < sequences.size; ++i) {
    for (Index t = sequences.starts[i]; t < sequences.stops[i]; ++t) {
      if (!std::isfinite(sequences.times[t])) {
        throw InvalidArgument("times: value of event " + std::to_string(t) + " is not finite");
      }
      if (t > sequences.starts[i] && sequences.times[t] < sequences.times[t - 1]) {
        throw InvalidArgument("times: event " + std::to_string(t) + " of sequence " +
                              std::to_string(i) + " is earlier than the event before it");
      }
    }
  }
}

}  // namespace

void validate(const SequencesView& sequences) {
  if (sequences.features() < 1) throw InvalidArgument("values: expected at least one feature");
  // Only the part of the table that the sequences lie in is read: one window of a long history
  // must not cost the history.
  Index first = sequences.values.rows, last = 0;
  for (Index i = 0; i < sequences.size; ++i) {
    const auto begin = sequences.starts[i];
    const auto end = sequences.stops[i];
    if (begin < 0 || end > sequences.values.rows) {
      throw InvalidArgument("offsets: sequence " + std::to_string(i) + " is rows " +
                            std::to_string(begin) + ".." + std::to_string(end) + " of a table of " +
                            std::to_string(sequences.values.rows) + " rows");
    }
    if (end < begin) {
      throw InvalidArgument("offsets: not increasing at sequence " + std::to_string(i) + " (" +
                            std::to_string(begin) + " then " + std::to_string(end) + ")");
    }
    if (end == begin) {
      throw InvalidArgument("sequence " + std::to_string(i) + " is empty: every sequence needs " +
                            "at least one event");
    }
    first = std::min<Index>(first, begin);
    last = std::max<Index>(last, end);
  }
  require_finite(sequences.values, "values", first, last);
  if (sequences.times != nullptr) validate_times(sequences);
}

}  // namespace ecseq
