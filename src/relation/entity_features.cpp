#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "ecseq/core/multiply_add.hpp"
#include "ecseq/kernels/vec.hpp"
#include "ecseq/relation/entity_memory.hpp"
#include "entity_durations.hpp"
#include "log_odds.hpp"

namespace ecseq::relation {
namespace {

constexpr double kNever = 365;  // in units
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::array<int, 5> kYoung = {1, 3, 7, 14, 30};  // in units
constexpr double kSpan = 60;                              // of even resolution; in units

bool is_positive(float label) { return label >= 0.5f; }

/// How many of the first values are good, where good ones come first: as std::partition_point, but
/// without branches, for where a random entity's windows end no processor can guess. Good: of a
/// double or, lane by lane, of a vector. values: in a record (see EntityRecord::kSpareBytes).
template <class Good>
std::ptrdiff_t count_leading(std::span<const double> values, Good good) {
  using Lanes = kernels::Vec<double>;
  constexpr std::size_t kWidth = kernels::kLanes<double>;
  const double* begin = values.data();
  std::size_t left = values.size();
  while (left > 8 * kWidth) {
    const std::size_t half = left / 2;
    begin += half * static_cast<std::size_t>(good(begin[half - 1]));
    left -= half;
  }
  std::ptrdiff_t count = begin - values.data();
  kernels::IntVec<double> lane, minus_count{};
  for (std::size_t i = 0; i < kWidth; ++i) lane[i] = static_cast<std::int64_t>(i);
  // The last vector goes beyond the values, where a record has bytes to spare.
  for (auto rest = static_cast<std::int64_t>(left); rest > 0; rest -= kWidth) {
    const Lanes lanes = kernels::load(begin);
    minus_count += good(lanes) & (lane < rest);
    begin += kWidth;
  }
  for (std::size_t i = 0; i < kWidth; ++i) count -= minus_count[i];
  return count;
}

/// log(1 + count): most counts are small, and a replay asks for millions of them.
float log_count(Index count) {
  static const std::vector<float> table = [] {
    std::vector<float> values(4096);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(std::log1p(static_cast<double>(i)));
    }
    return values;
  }();
  if (count < static_cast<Index>(table.size())) return table[static_cast<std::size_t>(count)];
  return static_cast<float>(std::log1p(static_cast<double>(count)));
}

/// log(1 + scale age), the age in units.
float log_age(double age, double scale) {
  return static_cast<float>(std::log1p(scale * std::min(age, kNever)));
}

float share_of_span(double age) { return static_cast<float>(std::min(age, kSpan) / kSpan); }

}  // namespace

std::vector<std::string> EntityMemory::feature_names() const {
  const std::string what = task_ == Task::kRegression ? "label mean" : "label rate";
  const auto channel = [&](Index c) {
    return task_ == Task::kMulticlass ? " of class " + std::to_string(c) : std::string();
  };
  std::vector<std::string> names;
  if (!options_.timed) {
    names = {"events", "labels"};
    for (Index c = 0; c < channels_; ++c) names.push_back(what + channel(c));
    return names;
  }
  for (const double window : options_.windows) {
    const std::string in = " in " + duration_text(window);
    names.push_back("events" + in);
    names.push_back("known labels" + in);
    for (Index c = 0; c < channels_; ++c) names.push_back(what + channel(c) + in);
  }
  for (const double half_life : options_.half_lives) {
    const std::string with = " with half-life " + duration_text(half_life);
    names.push_back("events" + with);
    names.push_back("known labels" + with);
    for (Index c = 0; c < channels_; ++c) names.push_back(what + channel(c) + with);
  }
  for (const int n : last_) {
    const std::string in = n == 1 ? " in last label" : " in last " + std::to_string(n) + " labels";
    for (Index c = 0; c < channels_; ++c) names.push_back(what + channel(c) + in);
  }
  for (const int age : kYoung) {
    for (Index c = 0; c < channels_; ++c) {
      names.push_back(what + channel(c) + " in memory, known for less than " +
                      duration_text(age * unit_));
    }
  }
  const std::string since = plural_unit(unit_) + " since ";
  const std::string span = duration_text(kSpan * unit_);
  if (task_ != Task::kRegression) {
    for (Index c = 0; c < channels_; ++c) {
      const std::string of = channel(c);
      names.push_back(since + "last positive" + of);
      names.push_back(since + "last negative" + of);
      names.push_back(since + "oldest positive" + of + " in memory");
      names.push_back("positives" + of + " in memory");
      names.push_back("positives" + of + " since last negative");
      names.push_back("negatives" + of + " since last positive");
      names.push_back("share of " + span + " since first positive" + of + " after last negative");
      names.push_back("share of " + span + " since last negative" + of);
    }
  }
  names.push_back("labels in memory");
  for (Index c = 0; options_.base_outputs && c < channels_; ++c) {
    const std::string of = channel(c);
    if (task_ != Task::kRegression) {
      names.push_back("largest base output of positives" + of + " in memory");
      names.push_back("mean base output of positives" + of + " in memory");
      names.push_back("base output of last positive" + of + " in memory");
      names.push_back("smallest base output of positives" + of + " since last negative");
    }
    names.push_back("label beyond base" + of + " in memory");
  }
  names.push_back((unit_ == kDay ? "hours" : "time") + std::string(" since last event"));
  return names;
}

std::ptrdiff_t EntityMemory::known_labels(const Entity& entity, double time) const {
  const double delay = options_.label_delay;
  return count_leading(entity.label_times(),
                       [=](auto at) { return (at < time) & (at + delay <= time); });
}

double EntityMemory::rate(Index channel, double sum, double count) const {
  // (S - n p) / (n + a)
  const double p = prior_[static_cast<std::size_t>(channel)];
  return (sum - count * p) / (count + options_.prior_strength);
}

void EntityMemory::write_untimed(double events, double labels, const double* sums,
                                 float* out) const {
  *out++ = log_count(static_cast<Index>(events));
  *out++ = log_count(static_cast<Index>(labels));
  for (Index c = 0; c < channels_; ++c) *out++ = static_cast<float>(rate(c, sums[c], labels));
}

void EntityMemory::write(const Entity& entity, double time, float* out) const {
  if (!options_.timed) {
    write_untimed(static_cast<double>(entity.folded_events),
                  static_cast<double>(entity.folded_labels), entity.sums(), out);
    return;
  }
  const std::span<const double> times = entity.event_times();
  const std::span<const double> label_times = entity.label_times();
  const double* const sums = entity.sums();
  const double delay = options_.label_delay;
  const auto before = [](std::span<const double> sorted, double limit) {
    return count_leading(sorted, [=](auto at) { return at < limit; });
  };
  const auto first = [](std::span<const double> sorted, std::ptrdiff_t count) {
    return sorted.first(static_cast<std::size_t>(count));
  };
  // Positions in the arrays: events are seen before `seen`, labels are known before `known`.
  const std::ptrdiff_t seen = before(times, time);
  const std::ptrdiff_t known = known_labels(entity, time);
  const auto write_rates = [&](std::ptrdiff_t begin, double count) {
    for (Index c = 0; c < channels_; ++c) {
      const double sum = sums[known * channels_ + c] - sums[begin * channels_ + c];
      *out++ = static_cast<float>(rate(c, sum, count));
    }
  };

  for (const double window : options_.windows) {
    if (std::isinf(window)) {
      const Index labels = entity.folded_labels + known;
      *out++ = log_count(entity.folded_events + seen);
      *out++ = log_count(labels);
      const double* const total = sums + known * channels_;
      for (Index c = 0; c < channels_; ++c) {
        *out++ = static_cast<float>(rate(c, total[c], static_cast<double>(labels)));
      }
      continue;
    }
    const std::ptrdiff_t begin = before(first(label_times, known), (time - delay) - window);
    *out++ = log_count(seen - before(first(times, seen), time - window));
    *out++ = log_count(known - begin);
    write_rates(begin, static_cast<double>(known - begin));
  }

  out = write_decayed(entity, time, seen, known, out);
  const std::ptrdiff_t oldest = std::max<std::ptrdiff_t>(0, known - options_.memory);
  for (const int n : last_) {
    const std::ptrdiff_t begin = std::max<std::ptrdiff_t>(0, known - n);
    write_rates(begin, static_cast<double>(known - begin));
  }
  const std::span<const double> remembered =
      first(label_times, known).subspan(static_cast<std::size_t>(oldest));
  for (const int age : kYoung) {
    const double limit = delay + age * unit_;
    const std::ptrdiff_t begin =
        oldest + count_leading(remembered, [=](auto at) { return time - at >= limit; });
    write_rates(begin, static_cast<double>(known - begin));
  }

  if (task_ != Task::kRegression) {
    for (Index c = 0; c < channels_; ++c) {
      // Selections, not branches: which labels are positive cannot be guessed either.
      const float* const values = entity.label_values() + c;
      std::ptrdiff_t last_positive = -1;
      std::ptrdiff_t last_negative = -1;
      std::ptrdiff_t oldest_positive = known;
      Index positives = 0;
      for (std::ptrdiff_t i = oldest; i < known; ++i) {
        const bool positive = is_positive(values[i * channels_]);
        last_positive = positive ? i : last_positive;
        last_negative = positive ? last_negative : i;
        oldest_positive = std::min(oldest_positive, positive ? i : known);
        positives += positive;
      }
      const auto age_of = [&](std::ptrdiff_t i) {
        return i < 0 ? kNever : (time - label_times[static_cast<std::size_t>(i)]) / unit_;
      };
      // Labels of one kind that follow the last of the other.
      const std::ptrdiff_t first_positive = std::max(oldest, last_negative + 1);
      const std::ptrdiff_t first_negative = std::max(oldest, last_positive + 1);
      *out++ = log_age(age_of(last_positive), 1);
      *out++ = log_age(age_of(last_negative), 1);
      *out++ = positives == 0 ? 0.0f : log_age(age_of(oldest_positive), 1);
      *out++ = log_count(positives);
      *out++ = log_count(known - first_positive);
      *out++ = log_count(known - first_negative);
      *out++ = first_positive == known ? 0.0f : share_of_span(age_of(first_positive));
      *out++ = share_of_span(age_of(last_negative));
    }
  }
  *out++ = log_count(known - oldest);
  if (options_.base_outputs) out = write_base(entity, oldest, known, out);
  *out++ = seen == 0 ? log_age(kNever, 24)
                     : log_age((time - times[static_cast<std::size_t>(seen) - 1]) / unit_, 24);
}

float* EntityMemory::write_decayed(const Entity& entity, double time, std::ptrdiff_t seen,
                                   std::ptrdiff_t known, float* out) const {
  const DecayedSums<const double> events = decayed_events(entity);
  const DecayedSums<const double> labels = decayed_labels(entity);
  const auto n_events = static_cast<std::size_t>(seen), n_labels = static_cast<std::size_t>(known);
  for (std::size_t h = 0; h < options_.half_lives.size(); ++h) {
    const double of_events = events.left(entity.event_times(), n_events, time, h);
    const double of_labels =
        labels.left(entity.label_times(), n_labels, time - options_.label_delay, h);
    const double count = labels.after(n_labels, h, 0) * of_labels;
    *out++ = static_cast<float>(std::log1p(events.after(n_events, h, 0) * of_events));
    *out++ = static_cast<float>(std::log1p(count));
    for (Index c = 0; c < channels_; ++c) {
      // (S - n p) / (n + a)
      const auto channel = static_cast<std::size_t>(c);
      const double sum = labels.after(n_labels, h, channel + 1);
      *out++ = static_cast<float>(multiply_add(sum, of_labels, -(count * prior_[channel])) /
                                  (count + options_.prior_strength));
    }
  }
  return out;
}

float* EntityMemory::write_base(const Entity& entity, std::ptrdiff_t oldest, std::ptrdiff_t known,
                                float* out) const {
  const auto count = static_cast<double>(known - oldest);
  const float* const labels = entity.label_values();
  const float* const base = entity.base();
  const float* const beyonds = entity.beyond();
  for (Index c = 0; c < channels_; ++c) {
    double largest = -kInfinity;
    double smallest = kInfinity;  // since the last negative
    double sum = 0;
    double last = 0;
    double beyond = 0;
    Index positives = 0;
    for (std::ptrdiff_t i = oldest; i < known; ++i) {
      const std::ptrdiff_t at = i * channels_ + c;
      const bool positive = is_positive(labels[at]);
      const auto output = static_cast<double>(base[at]);
      beyond += static_cast<double>(beyonds[at]);
      last = positive ? output : last;
      largest = positive ? std::max(largest, output) : largest;
      smallest = positive ? std::min(smallest, output) : kInfinity;
      sum += positive ? output : 0.0;
      positives += positive;
    }
    if (task_ != Task::kRegression) {
      const double expected = prior_log_odds_[static_cast<std::size_t>(c)];
      if (positives == 0) {
        sum = largest = last = expected;
        positives = 1;
      }
      *out++ = static_cast<float>(largest);
      *out++ = static_cast<float>(sum / static_cast<double>(positives));
      *out++ = static_cast<float>(last);
      *out++ = static_cast<float>(std::isinf(smallest) ? expected : smallest);
    }
    *out++ = static_cast<float>(beyond / (count + options_.prior_strength));
  }
  return out;
}

void EntityMemory::write_evidence(const double* sums, double count, double* out) const {
  for (Index c = 0; c < channels_; ++c) {
    if (task_ == Task::kRegression) {
      out[c] = rate(c, sums[c], count);
      continue;
    }
    const auto channel = static_cast<std::size_t>(c);
    const double a = options_.prior_strength;
    out[c] = count == 0 ? 0.0
                        : log_odds((sums[c] + a * prior_[channel]) / (count + a)) -
                              prior_log_odds_[channel];
  }
}

double EntityMemory::evidence(const Entity& entity, double time, double* out) const {
  const std::ptrdiff_t known = options_.timed ? known_labels(entity, time) : 0;
  const auto count = static_cast<double>(entity.folded_labels + known);
  write_evidence(entity.sums() + known * channels_, count, out);
  return count;
}

Index EntityMemory::recent(const Entity& entity, double time, std::vector<float>& rows) const {
  const std::ptrdiff_t known = options_.timed ? known_labels(entity, time) : 0;
  const std::ptrdiff_t oldest = std::max<std::ptrdiff_t>(0, known - options_.memory);
  for (std::ptrdiff_t i = oldest; i < known; ++i) {
    const auto append = [&](const float* values) {
      const float* const first = values + i * channels_;
      rows.insert(rows.end(), first, first + channels_);
    };
    append(entity.label_values());
    const double age =
        time - options_.label_delay - entity.label_times()[static_cast<std::size_t>(i)];
    rows.push_back(static_cast<float>(std::log1p(std::clamp(age / unit_, 0.0, kNever))));
    if (options_.base_outputs) append(entity.base());
  }
  return known - oldest;
}

void EntityMemory::features(EntityKey key, double time, float* out) const {
  check_time(time);
  write(find(key), time, out);
}

double EntityMemory::evidence(EntityKey key, double time, double* out) const {
  check_time(time);
  return evidence(find(key), time, out);
}

Index EntityMemory::recent(EntityKey key, double time, std::vector<float>& rows) const {
  check_time(time);
  return recent(find(key), time, rows);
}

}  // namespace ecseq::relation
