#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "ecseq/relation/entity_memory.hpp"
#include "entity_durations.hpp"

namespace ecseq::relation {
namespace {

constexpr double kNever = 365;  // in units
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::array<int, 5> kYoung = {1, 3, 7, 14, 30};  // in units

bool is_positive(float label) { return label >= 0.5f; }

double log_odds(double p) {
  p = std::clamp(p, 1e-5, 1.0 - 1e-5);
  return std::log(p / (1.0 - p));
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
  if (task_ != Task::kRegression) {
    for (Index c = 0; c < channels_; ++c) {
      const std::string of = channel(c);
      names.push_back(since + "last positive" + of);
      names.push_back(since + "last negative" + of);
      names.push_back(since + "oldest positive" + of + " in memory");
      names.push_back("positives" + of + " in memory");
    }
  }
  names.push_back("labels in memory");
  for (Index c = 0; options_.base_outputs && c < channels_; ++c) {
    const std::string of = channel(c);
    if (task_ != Task::kRegression) {
      names.push_back("largest base output of positives" + of + " in memory");
      names.push_back("mean base output of positives" + of + " in memory");
      names.push_back("base output of last positive" + of + " in memory");
    }
    names.push_back("label beyond base" + of + " in memory");
  }
  names.push_back((unit_ == kDay ? "hours" : "time") + std::string(" since last event"));
  return names;
}

std::ptrdiff_t EntityMemory::known_labels(const Entity& entity, double time) const {
  const auto& times = entity.label_times;
  return std::partition_point(
             times.begin(), times.end(),
             [&](double at) { return at < time && at + options_.label_delay <= time; }) -
         times.begin();
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
                  static_cast<double>(entity.folded_labels), entity.sums.data(), out);
    return;
  }
  const auto& times = entity.times;
  const auto& label_times = entity.label_times;
  const double delay = options_.label_delay;
  // Positions in the arrays: events are seen before `seen`, labels are known before `known`.
  const auto seen = std::lower_bound(times.begin(), times.end(), time) - times.begin();
  const std::ptrdiff_t known = known_labels(entity, time);
  const auto write_rates = [&](std::ptrdiff_t begin, double count) {
    const double* before = entity.sums.data() + begin * channels_;
    const double* after = entity.sums.data() + known * channels_;
    for (Index c = 0; c < channels_; ++c) {
      *out++ = static_cast<float>(rate(c, after[c] - before[c], count));
    }
  };

  for (const double window : options_.windows) {
    if (std::isinf(window)) {
      const Index labels = entity.folded_labels + known;
      *out++ = log_count(entity.folded_events + seen);
      *out++ = log_count(labels);
      const double* total = entity.sums.data() + known * channels_;
      for (Index c = 0; c < channels_; ++c) {
        *out++ = static_cast<float>(rate(c, total[c], static_cast<double>(labels)));
      }
      continue;
    }
    const auto first = std::lower_bound(times.begin(), times.begin() + seen, time - window);
    const auto first_label =
        std::lower_bound(label_times.begin(), label_times.begin() + known, (time - delay) - window);
    const auto begin = first_label - label_times.begin();
    *out++ = log_count(times.begin() + seen - first);
    *out++ = log_count(known - begin);
    write_rates(begin, static_cast<double>(known - begin));
  }

  out = write_decayed(entity, time, seen, known, out);
  const std::ptrdiff_t oldest = std::max<std::ptrdiff_t>(0, known - options_.memory);
  for (const int n : last_) {
    const std::ptrdiff_t begin = std::max<std::ptrdiff_t>(0, known - n);
    write_rates(begin, static_cast<double>(known - begin));
  }
  for (const int age : kYoung) {
    const double limit = delay + age * unit_;
    const auto begin =
        std::partition_point(label_times.begin() + oldest, label_times.begin() + known,
                             [&](double at) { return time - at >= limit; }) -
        label_times.begin();
    write_rates(begin, static_cast<double>(known - begin));
  }

  const auto log_age = [&](double at, double scale) {
    return static_cast<float>(std::log1p(scale * std::min((time - at) / unit_, kNever)));
  };
  if (task_ != Task::kRegression) {
    for (Index c = 0; c < channels_; ++c) {
      std::ptrdiff_t last_positive = -1;
      std::ptrdiff_t last_negative = -1;
      std::ptrdiff_t oldest_positive = -1;
      Index positives = 0;
      for (std::ptrdiff_t i = oldest; i < known; ++i) {
        if (is_positive(entity.labels[static_cast<std::size_t>(i * channels_ + c)])) {
          if (positives++ == 0) oldest_positive = i;
          last_positive = i;
        } else {
          last_negative = i;
        }
      }
      const auto age_of = [&](std::ptrdiff_t i) {
        return log_age(i < 0 ? -kInfinity : label_times[static_cast<std::size_t>(i)], 1);
      };
      *out++ = age_of(last_positive);
      *out++ = age_of(last_negative);
      *out++ = positives == 0 ? 0.0f : age_of(oldest_positive);
      *out++ = log_count(positives);
    }
  }
  *out++ = log_count(known - oldest);
  if (options_.base_outputs) out = write_base(entity, oldest, known, out);
  *out++ = log_age(seen == 0 ? -kInfinity : times[static_cast<std::size_t>(seen) - 1], 24);
}

float* EntityMemory::write_decayed(const Entity& entity, double time, std::ptrdiff_t seen,
                                   std::ptrdiff_t known, float* out) const {
  const auto columns = static_cast<std::size_t>(channels_) + 1;
  const double label_time = time - options_.label_delay;
  for (std::size_t h = 0; h < options_.half_lives.size(); ++h) {
    const auto of_labels = [&](std::size_t column) {
      return entity.decayed_labels.at(options_.half_lives, entity.label_times, columns,
                                      static_cast<std::size_t>(known), label_time, h, column);
    };
    const double events = entity.decayed_events.at(options_.half_lives, entity.times, 1,
                                                   static_cast<std::size_t>(seen), time, h, 0);
    const double count = of_labels(0);
    *out++ = static_cast<float>(std::log1p(events));
    *out++ = static_cast<float>(std::log1p(count));
    for (Index c = 0; c < channels_; ++c) {
      *out++ = static_cast<float>(rate(c, of_labels(static_cast<std::size_t>(c) + 1), count));
    }
  }
  return out;
}

float* EntityMemory::write_base(const Entity& entity, std::ptrdiff_t oldest, std::ptrdiff_t known,
                                float* out) const {
  const auto count = static_cast<double>(known - oldest);
  for (Index c = 0; c < channels_; ++c) {
    double largest = -kInfinity;
    double sum = 0;
    double last = 0;
    double beyond = 0;
    Index positives = 0;
    for (std::ptrdiff_t i = oldest; i < known; ++i) {
      const auto at = static_cast<std::size_t>(i * channels_ + c);
      beyond += static_cast<double>(entity.beyond[at]);
      if (!is_positive(entity.labels[at])) continue;
      last = static_cast<double>(entity.base[at]);
      largest = std::max(largest, last);
      sum += last;
      ++positives;
    }
    if (task_ != Task::kRegression) {
      if (positives == 0) {
        sum = largest = last = log_odds(prior_[static_cast<std::size_t>(c)]);
        positives = 1;
      }
      *out++ = static_cast<float>(largest);
      *out++ = static_cast<float>(sum / static_cast<double>(positives));
      *out++ = static_cast<float>(last);
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
    const double p = prior_[static_cast<std::size_t>(c)];
    const double a = options_.prior_strength;
    out[c] = count == 0 ? 0.0 : log_odds((sums[c] + a * p) / (count + a)) - log_odds(p);
  }
}

double EntityMemory::evidence(const Entity& entity, double time, double* out) const {
  const std::ptrdiff_t known = options_.timed ? known_labels(entity, time) : 0;
  const auto count = static_cast<double>(entity.folded_labels + known);
  write_evidence(entity.sums.data() + known * channels_, count, out);
  return count;
}

Index EntityMemory::recent(const Entity& entity, double time, std::vector<float>& rows) const {
  const std::ptrdiff_t known = options_.timed ? known_labels(entity, time) : 0;
  const std::ptrdiff_t oldest = std::max<std::ptrdiff_t>(0, known - options_.memory);
  for (std::ptrdiff_t i = oldest; i < known; ++i) {
    const auto append = [&](const std::vector<float>& values) {
      const auto first = values.begin() + i * channels_;
      rows.insert(rows.end(), first, first + channels_);
    };
    append(entity.labels);
    const double age =
        time - options_.label_delay - entity.label_times[static_cast<std::size_t>(i)];
    rows.push_back(static_cast<float>(std::log1p(std::clamp(age / unit_, 0.0, kNever))));
    if (options_.base_outputs) append(entity.base);
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
