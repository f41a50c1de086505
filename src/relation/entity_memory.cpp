#include "ecseq/relation/entity_memory.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"

namespace ecseq::relation {
namespace {

constexpr double kDay = 86400;
constexpr double kNever = 365;  // in units
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::array<int, 5> kYoung = {1, 3, 7, 14, 30};  // in units
constexpr Index kGroupChunk = 64;

bool is_positive(float label) { return label >= 0.5f; }

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

std::string number_text(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string duration_text(double seconds) {
  if (std::isinf(seconds)) return "all history";
  static const std::array<std::pair<double, const char*>, 4> units = {
      {{kDay, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}}};
  for (const auto& [size, name] : units) {
    const double count = seconds / size;
    if (count == std::floor(count) || size == 1) {
      return number_text(count) + " " + name + (count == 1 ? "" : "s");
    }
  }
  return {};
}

/// "days" for one day; "time" where the unit has no name of its own.
std::string plural_unit(double seconds) {
  if (seconds == kDay) return "days";
  if (seconds == 3600) return "hours";
  if (seconds == 60) return "minutes";
  if (seconds == 1) return "seconds";
  return "time";
}

[[noreturn]] void refuse(const std::string& message) { throw InvalidArgument(message); }

/// A row of a batch, in the order in which its entity saw it.
struct Row {
  EntityKey key;
  double time;
  Index row;
};

/// Rows of entities sorted by (key, time, row), and where each entity's rows begin.
struct Groups {
  std::vector<Row> rows;
  std::vector<std::size_t> starts;  // one more than there are entities

  Groups(std::span<const EntityKey> keys, std::span<const double> times) {
    rows.reserve(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (keys[i] == kNoEntity) continue;
      rows.push_back({keys[i], times.empty() ? 0.0 : times[i], static_cast<Index>(i)});
    }
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
      if (a.key != b.key) return a.key < b.key;
      if (a.time != b.time) return a.time < b.time;
      return a.row < b.row;
    });
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (i == 0 || rows[i].key != rows[i - 1].key) starts.push_back(i);
    }
    starts.push_back(rows.size());
  }
  Index size() const { return static_cast<Index>(starts.size()) - 1; }
  std::span<const Row> group(Index g) const {
    const std::size_t begin = starts[static_cast<std::size_t>(g)];
    return {rows.data() + begin, starts[static_cast<std::size_t>(g) + 1] - begin};
  }
};

}  // namespace

EntityMemory::EntityMemory(EntityOptions options, std::vector<double> prior, Task task)
    : options_(std::move(options)),
      prior_(std::move(prior)),
      task_(task),
      channels_(static_cast<Index>(prior_.size())),
      unit_(kDay),
      latest_time_(-kInfinity) {
  if (options_.memory < 1) {
    refuse("memory must be at least 1, got " + std::to_string(options_.memory));
  }
  if (!(options_.label_delay >= 0) || std::isinf(options_.label_delay)) {
    refuse("label_delay must be a finite number of seconds >= 0, got " +
           std::to_string(options_.label_delay));
  }
  if (!(options_.prior_strength > 0) || std::isinf(options_.prior_strength)) {
    refuse("prior_strength must be a finite number > 0, got " +
           std::to_string(options_.prior_strength));
  }
  for (std::size_t i = 0; i < options_.windows.size(); ++i) {
    const double window = options_.windows[i];
    if (!(window > 0)) {
      refuse("windows must be > 0 seconds, got " + std::to_string(window) + " at position " +
             std::to_string(i));
    }
    if (std::count(options_.windows.begin(), options_.windows.end(), window) > 1) {
      refuse("windows holds " + duration_text(window) + " twice");
    }
    if (std::isinf(window)) continue;
    longest_window_ = std::max(longest_window_, window);
    unit_ = std::min(unit_, window);
  }
  if (task_ == Task::kMulticlass ? channels_ < 2 : channels_ != 1) {
    refuse("prior must hold one mean per label channel (" +
           std::string(task_ == Task::kMulticlass ? "at least 2 classes" : "1 channel") +
           " for this task), got " + std::to_string(channels_));
  }
  for (Index c = 0; c < channels_; ++c) {
    const double p = prior_[static_cast<std::size_t>(c)];
    if (!std::isfinite(p) || (task_ != Task::kRegression && (p < 0 || p > 1))) {
      refuse("prior of channel " + std::to_string(c) + " must be " +
             (task_ == Task::kRegression ? "finite" : "within [0, 1]") + ", got " +
             std::to_string(p));
    }
  }
  for (const int n : {1, 3, 6}) {
    if (n < options_.memory) last_.push_back(n);
  }
  last_.push_back(options_.memory);
  empty_.sums.assign(static_cast<std::size_t>(channels_), 0.0);
  n_features_ = static_cast<Index>(feature_names().size());
}

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
  names.push_back((unit_ == kDay ? "hours" : "time") + std::string(" since last event"));
  return names;
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
  const auto known =
      std::partition_point(label_times.begin(), label_times.end(),
                           [&](double at) { return at < time && at + delay <= time; }) -
      label_times.begin();
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
  *out++ = log_age(seen == 0 ? -kInfinity : times[static_cast<std::size_t>(seen) - 1], 24);
}

void EntityMemory::features(EntityKey key, double time, float* out) const {
  if (options_.timed && !std::isfinite(time)) {
    refuse("time must be finite, got " + std::to_string(time));
  }
  const auto at = key == kNoEntity ? index_.end() : index_.find(key);
  write(at == index_.end() ? empty_ : entities_[at->second], time, out);
}

bool EntityMemory::labelled(const float* labels) const {
  if (labels == nullptr) return false;
  for (Index c = 0; c < channels_; ++c) {
    if (std::isnan(labels[c])) return false;
  }
  return true;
}

void EntityMemory::check_labels(const float* labels, Index row) const {
  if (!labelled(labels)) return;
  for (Index c = 0; c < channels_; ++c) {
    const float y = labels[c];
    const bool good = task_ == Task::kRegression ? std::isfinite(y) : (y >= 0 && y <= 1);
    if (good) continue;
    refuse("labels" + (row < 0 ? "" : ", row " + std::to_string(row)) + ", channel " +
           std::to_string(c) + ": expected " +
           (task_ == Task::kRegression ? "a finite value" : "a value within [0, 1]") + ", got " +
           std::to_string(y));
  }
}

EntityMemory::Entity& EntityMemory::find_or_add(EntityKey key) {
  const auto [at, fresh] = index_.try_emplace(key, entities_.size());
  if (fresh) entities_.push_back(empty_);
  return entities_[at->second];
}

void EntityMemory::add_label(Entity& entity, double time, const float* labels,
                             double latest) const {
  auto& times = entity.label_times;
  const auto place = std::upper_bound(times.begin(), times.end(), time);
  const auto at = place - times.begin();
  // Older than everything kept although something was folded: the memory is full of newer ones.
  if (at == 0 && entity.folded_labels > 0 &&
      time < (latest - options_.label_delay) - longest_window_) {
    for (std::size_t i = 0; i < entity.sums.size(); ++i) {
      entity.sums[i] += static_cast<double>(labels[i % static_cast<std::size_t>(channels_)]);
    }
    ++entity.folded_labels;
    entity.exact_from = latest;
    return;
  }
  times.insert(place, time);
  entity.labels.insert(entity.labels.begin() + at * channels_, labels, labels + channels_);
  entity.sums.resize(entity.sums.size() + static_cast<std::size_t>(channels_));
  for (std::size_t i = static_cast<std::size_t>(at * channels_); i < entity.labels.size(); ++i) {
    entity.sums[i + static_cast<std::size_t>(channels_)] =
        entity.sums[i] + static_cast<double>(entity.labels[i]);
  }
}

void EntityMemory::add(Entity& entity, double time, const float* labels) const {
  const bool with_label = labelled(labels);
  if (!options_.timed) {
    ++entity.folded_events;
    entity.folded_labels += with_label;
    for (Index c = 0; with_label && c < channels_; ++c) {
      entity.sums[static_cast<std::size_t>(c)] += static_cast<double>(labels[c]);
    }
    return;
  }
  auto& times = entity.times;
  const double latest = times.empty() ? time : std::max(time, times.back());
  if (time < latest - longest_window_ && entity.folded_events > 0 && time < times.front()) {
    ++entity.folded_events;
    entity.exact_from = latest;
  } else {
    times.insert(std::upper_bound(times.begin(), times.end(), time), time);
  }
  if (with_label) add_label(entity, time, labels, latest);
  if (times.size() >= entity.fold_at || entity.label_times.size() >= entity.fold_at) fold(entity);
}

void EntityMemory::fold(Entity& entity) const {
  auto& times = entity.times;
  auto& label_times = entity.label_times;
  const double latest = times.back();
  const double delay = options_.label_delay;
  // The newest event before the latest stays: at the latest time itself it is the last one seen.
  const auto outside_events =
      std::lower_bound(times.begin(), times.end(), latest - longest_window_) - times.begin();
  const auto before = std::lower_bound(times.begin(), times.end(), latest) - times.begin();
  const auto events = std::min(outside_events, std::max<std::ptrdiff_t>(0, before - 1));
  const auto known =
      std::partition_point(label_times.begin(), label_times.end(),
                           [&](double at) { return at < latest && at + delay <= latest; }) -
      label_times.begin();
  const auto outside =
      std::lower_bound(label_times.begin(), label_times.end(), (latest - delay) - longest_window_) -
      label_times.begin();
  const auto labels = std::min(outside, std::max<std::ptrdiff_t>(0, known - options_.memory));
  if (events > 0 || labels > 0) {
    times.erase(times.begin(), times.begin() + events);
    label_times.erase(label_times.begin(), label_times.begin() + labels);
    entity.labels.erase(entity.labels.begin(), entity.labels.begin() + labels * channels_);
    entity.sums.erase(entity.sums.begin(), entity.sums.begin() + labels * channels_);
    entity.folded_events += events;
    entity.folded_labels += labels;
    entity.exact_from = latest;
  }
  // Doubling keeps the cost of folding constant per event.
  entity.fold_at = std::max<std::size_t>(32, 2 * std::max(times.size(), label_times.size()));
}

void EntityMemory::observe(EntityKey key, double time, const float* labels) {
  if (options_.timed && !std::isfinite(time)) {
    refuse("time must be finite, got " + std::to_string(time));
  }
  check_labels(labels, -1);
  if (key == kNoEntity) return;
  add(find_or_add(key), time, labels);
  if (options_.timed) latest_time_ = std::max(latest_time_, time);
}

Matrix<float> EntityMemory::replay(std::span<const EntityKey> keys, std::span<const double> times,
                                   MatrixView<float> labels, int num_threads) {
  if (!options_.timed) {
    refuse("replay needs a timed memory; this one is untimed: use leave_one_out");
  }
  const auto n = static_cast<Index>(keys.size());
  if (static_cast<Index>(times.size()) != n || labels.rows != n || labels.cols != channels_) {
    refuse("replay: expected times of " + std::to_string(n) + " rows and labels [" +
           std::to_string(n) + ", " + std::to_string(channels_) + "] for " + std::to_string(n) +
           " keys, got " + std::to_string(times.size()) + " and [" + std::to_string(labels.rows) +
           ", " + std::to_string(labels.cols) + "]");
  }
  for (Index i = 0; i < n; ++i) {
    const auto row = static_cast<std::size_t>(i);
    if (!std::isfinite(times[row])) {
      refuse("times, row " + std::to_string(i) + ": expected a finite value, got " +
             std::to_string(times[row]));
    }
    check_labels(labels.row(i), i);
    const auto at = keys[row] == kNoEntity ? index_.end() : index_.find(keys[row]);
    if (at == index_.end()) continue;
    const Entity& entity = entities_[at->second];
    if (times[row] < entity.exact_from) {
      refuse("times, row " + std::to_string(i) + ": " + std::to_string(times[row]) +
             " is earlier than " + std::to_string(entity.exact_from) +
             ", up to which older events of its entity were folded into totals");
    }
  }

  Matrix<float> out(n, n_features());
  for (Index i = 0; i < n; ++i) {
    const auto row = static_cast<std::size_t>(i);
    if (keys[row] == kNoEntity) write(empty_, times[row], out.row(i).data());
  }
  const Groups groups(keys, times);
  std::vector<std::size_t> entity_of(static_cast<std::size_t>(groups.size()));
  for (Index g = 0; g < groups.size(); ++g) {
    const EntityKey key = groups.group(g).front().key;
    find_or_add(key);
    entity_of[static_cast<std::size_t>(g)] = index_.at(key);
    latest_time_ = std::max(latest_time_, groups.group(g).back().time);
  }
  // Entities do not see each other, so that each can be replayed on its own.
  parallel_chunks(groups.size(), kGroupChunk, num_threads, [&](Index first, Index last) {
    for (Index g = first; g < last; ++g) {
      Entity& entity = entities_[entity_of[static_cast<std::size_t>(g)]];
      const std::span<const Row> rows = groups.group(g);
      for (std::size_t begin = 0, end = 0; begin < rows.size(); begin = end) {
        while (end < rows.size() && rows[end].time == rows[begin].time) {
          write(entity, rows[end].time, out.row(rows[end].row).data());
          ++end;
        }
        for (std::size_t i = begin; i < end; ++i) {
          add(entity, rows[i].time, labels.row(rows[i].row));
        }
      }
    }
  });
  return out;
}

Matrix<float> EntityMemory::leave_one_out(std::span<const EntityKey> keys, MatrixView<float> labels,
                                          int num_threads) {
  if (options_.timed) {
    refuse("leave_one_out needs an untimed memory; this one is timed: use replay");
  }
  const auto n = static_cast<Index>(keys.size());
  if (labels.rows != n || labels.cols != channels_) {
    refuse("leave_one_out: expected labels [" + std::to_string(n) + ", " +
           std::to_string(channels_) + "] for " + std::to_string(n) + " keys, got [" +
           std::to_string(labels.rows) + ", " + std::to_string(labels.cols) + "]");
  }
  for (Index i = 0; i < n; ++i) check_labels(labels.row(i), i);
  for (Index i = 0; i < n; ++i) {
    const EntityKey key = keys[static_cast<std::size_t>(i)];
    if (key != kNoEntity) add(find_or_add(key), 0, labels.row(i));
  }
  Matrix<float> out(n, n_features());
  parallel_chunks(n, 4096, num_threads, [&](Index first, Index last) {
    std::vector<double> others(static_cast<std::size_t>(channels_));
    for (Index i = first; i < last; ++i) {
      const EntityKey key = keys[static_cast<std::size_t>(i)];
      if (key == kNoEntity) {
        write(empty_, 0, out.row(i).data());
        continue;
      }
      const Entity& entity = entities_[index_.at(key)];
      const bool own = labelled(labels.row(i));
      for (Index c = 0; c < channels_; ++c) {
        others[static_cast<std::size_t>(c)] = entity.sums[static_cast<std::size_t>(c)] -
                                              (own ? static_cast<double>(labels(i, c)) : 0.0);
      }
      write_untimed(static_cast<double>(entity.folded_events - 1),
                    static_cast<double>(entity.folded_labels - own), others.data(),
                    out.row(i).data());
    }
  });
  return out;
}

Index EntityMemory::retained() const {
  std::size_t total = 0;
  for (const Entity& entity : entities_) total += entity.times.size() + entity.label_times.size();
  return static_cast<Index>(total);
}

}  // namespace ecseq::relation
