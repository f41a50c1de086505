#include "ecseq/relation/entity_memory.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "ecseq/core/error.hpp"
#include "entity_durations.hpp"
#include "log_odds.hpp"

namespace ecseq::relation {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

[[noreturn]] void refuse(const std::string& message) { throw InvalidArgument(message); }

}  // namespace

EntityMemory::EntityMemory(EntityOptions options, std::vector<double> prior, Task task)
    : options_(std::move(options)),
      prior_(std::move(prior)),
      task_(task),
      channels_(static_cast<Index>(prior_.size())),
      unit_(kDay),
      index_({static_cast<std::uint32_t>(prior_.size()),
              static_cast<std::uint32_t>(options_.half_lives.size()),
              options_.base_outputs && options_.timed}),
      latest_time_(-kInfinity) {
  options_.base_outputs = options_.base_outputs && options_.timed;
  for (const double p : prior_) prior_log_odds_.push_back(log_odds(p));
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
  for (const double half_life : options_.half_lives) {
    if (!(half_life > 0) || std::isinf(half_life)) {
      refuse("half_lives must be finite numbers of seconds > 0, got " + std::to_string(half_life));
    }
    if (std::count(options_.half_lives.begin(), options_.half_lives.end(), half_life) > 1) {
      refuse("half_lives holds " + duration_text(half_life) + " twice");
    }
  }
  if (options_.max_entities < 0) {
    refuse("max_entities must be at least 0, got " + std::to_string(options_.max_entities));
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
  n_features_ = static_cast<Index>(feature_names().size());
}

const EntityMemory::Entity& EntityMemory::find(EntityKey key) const {
  const Entity* const known = key == kNoEntity ? nullptr : index_.find(key);
  return known == nullptr ? index_.nobody() : *known;
}

void EntityMemory::check_time(double time) const {
  if (options_.timed && !std::isfinite(time)) {
    refuse("time must be finite, got " + std::to_string(time));
  }
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

void EntityMemory::check_base(const float* labels, const float* base, Index row) const {
  if (!options_.base_outputs || !labelled(labels)) return;
  const std::string where = "base" + (row < 0 ? "" : ", row " + std::to_string(row));
  if (base == nullptr) refuse(where + ": expected the base's outputs, got none");
  for (Index c = 0; c < channels_; ++c) {
    if (std::isfinite(base[c])) continue;
    refuse(where + ", channel " + std::to_string(c) + ": expected a finite value, got " +
           std::to_string(base[c]));
  }
}

EntityMemory::Entity& EntityMemory::find_or_add(EntityKey key) {
  if (Entity* const known = index_.find(key)) return *known;
  const std::size_t room = options_.timed ? 4 : 0;
  Entity& added = index_.find_or_add(key, room, room);
  if (options_.max_entities > 0) {
    by_age_.emplace_back(added.latest, key);
    std::push_heap(by_age_.begin(), by_age_.end(), std::greater<>());
  }
  return added;
}

DecayedSums<double> EntityMemory::decayed_events(Entity& entity) const {
  return {options_.half_lives, 1, &entity.events_until, entity.decayed_events()};
}

DecayedSums<double> EntityMemory::decayed_labels(Entity& entity) const {
  return {options_.half_lives, static_cast<std::size_t>(channels_) + 1, &entity.labels_until,
          entity.decayed_labels()};
}

DecayedSums<const double> EntityMemory::decayed_events(const Entity& entity) const {
  return {options_.half_lives, 1, &entity.events_until, entity.decayed_events()};
}

DecayedSums<const double> EntityMemory::decayed_labels(const Entity& entity) const {
  return {options_.half_lives, static_cast<std::size_t>(channels_) + 1, &entity.labels_until,
          entity.decayed_labels()};
}

void EntityMemory::add_event(Entity& entity, double time) const {
  const std::span<const double> times = entity.event_times();
  const double latest = times.empty() ? time : std::max(time, times.back());
  if (time < latest - longest_window_ && entity.folded_events > 0 && time < times.front()) {
    ++entity.folded_events;
    entity.exact_from = latest;
    decayed_events(entity).add_folded(time, [](std::size_t) { return 1.0; });
    update_decayed_events(entity, 0);
    return;
  }
  const auto at =
      static_cast<std::size_t>(std::upper_bound(times.begin(), times.end(), time) - times.begin());
  entity.insert_event(at, time);
  update_decayed_events(entity, at);
}

void EntityMemory::add_label(Entity& entity, double time, const float* labels, const float* base,
                             double latest) const {
  const auto channels = static_cast<std::size_t>(channels_);
  const std::span<const double> times = entity.label_times();
  double* const sums = entity.sums();
  const auto at =
      static_cast<std::size_t>(std::upper_bound(times.begin(), times.end(), time) - times.begin());
  // Older than everything kept although something was folded: the memory is full of newer ones.
  if (at == 0 && entity.folded_labels > 0 &&
      time < (latest - options_.label_delay) - longest_window_) {
    for (std::size_t i = 0; i < (times.size() + 1) * channels; ++i) {
      sums[i] += static_cast<double>(labels[i % channels]);
    }
    ++entity.folded_labels;
    entity.exact_from = latest;
    decayed_labels(entity).add_folded(
        time, [&](std::size_t j) { return j == 0 ? 1.0 : static_cast<double>(labels[j - 1]); });
    update_decayed_labels(entity, 0);
    return;
  }
  entity.insert_label(at, time);
  float* const values = entity.label_values();
  std::copy_n(labels, channels, values + at * channels);
  for (std::size_t i = at * channels; i < entity.labels * channels; ++i) {
    sums[i + channels] = sums[i] + static_cast<double>(values[i]);
  }
  if (options_.base_outputs) {
    std::copy_n(base, channels, entity.base() + at * channels);
    expect_beyond(labels, base, entity.beyond() + at * channels);
  }
  update_decayed_labels(entity, at);
}

void EntityMemory::expect_beyond(const float* labels, const float* base, float* beyond) const {
  double total = 0;  // of a softmax, relative to the largest output
  const float largest = *std::max_element(base, base + channels_);
  for (Index c = 0; c < channels_; ++c) total += std::exp(static_cast<double>(base[c] - largest));
  for (Index c = 0; c < channels_; ++c) {
    const auto output = static_cast<double>(base[c]);
    const double expected = task_ == Task::kRegression ? output
                            : task_ == Task::kBinary
                                ? 1.0 / (1.0 + std::exp(-output))
                                : std::exp(static_cast<double>(base[c] - largest)) / total;
    beyond[c] = static_cast<float>(static_cast<double>(labels[c]) - expected);
  }
}

void EntityMemory::update_decayed_events(Entity& entity, std::size_t first) const {
  if (options_.half_lives.empty()) return;
  decayed_events(entity).update(entity.event_times(), first,
                                [](std::size_t, std::size_t) { return 1.0; });
}

void EntityMemory::update_decayed_labels(Entity& entity, std::size_t first) const {
  if (options_.half_lives.empty()) return;
  const auto channels = static_cast<std::size_t>(channels_);
  const float* const values = entity.label_values();
  decayed_labels(entity).update(entity.label_times(), first, [&](std::size_t i, std::size_t j) {
    return j == 0 ? 1.0 : static_cast<double>(values[i * channels + j - 1]);
  });
}

EntityMemory::Entity& EntityMemory::add(Entity& before, double time, const float* labels,
                                        const float* base) {
  const bool with_label = labelled(labels);
  if (!options_.timed) {
    ++before.folded_events;
    before.folded_labels += with_label;
    for (Index c = 0; with_label && c < channels_; ++c) {
      before.sums()[c] += static_cast<double>(labels[c]);
    }
    return before;
  }
  Entity& entity = index_.with_room(before, true, with_label);
  add_event(entity, time);
  if (with_label) add_label(entity, time, labels, base, entity.event_times().back());
  fold_excess(entity);
  return entity;
}

void EntityMemory::fold_excess(Entity& entity) const {
  if (entity.events < entity.fold_at && entity.labels < entity.fold_at) return;
  const std::span<const double> times = entity.event_times();
  const std::span<const double> label_times = entity.label_times();
  const double latest = times.back();
  const double delay = options_.label_delay;
  // The newest event before the latest stays: at the latest time itself it is the last one seen.
  const auto outside_events =
      std::lower_bound(times.begin(), times.end(), latest - longest_window_) - times.begin();
  const auto before = std::lower_bound(times.begin(), times.end(), latest) - times.begin();
  const auto events = std::min(outside_events, std::max<std::ptrdiff_t>(0, before - 1));
  const std::ptrdiff_t known = known_labels(entity, latest);
  const auto outside =
      std::lower_bound(label_times.begin(), label_times.end(), (latest - delay) - longest_window_) -
      label_times.begin();
  const auto labels = std::min(outside, std::max<std::ptrdiff_t>(0, known - options_.memory));
  if (events > 0 || labels > 0) {
    if (events > 0 && !options_.half_lives.empty()) {
      entity.events_until = times[static_cast<std::size_t>(events) - 1];
    }
    if (labels > 0 && !options_.half_lives.empty()) {
      entity.labels_until = label_times[static_cast<std::size_t>(labels) - 1];
    }
    entity.erase_front(static_cast<std::size_t>(events), static_cast<std::size_t>(labels));
    entity.folded_events += events;
    entity.folded_labels += labels;
    entity.exact_from = latest;
  }
  // Doubling keeps the cost of folding constant per event.
  entity.fold_at =
      std::max<std::uint64_t>(32, 2 * std::uint64_t{std::max(entity.events, entity.labels)});
}

void EntityMemory::forget_excess() {
  while (options_.max_entities > 0 && size() > options_.max_entities) {
    std::pop_heap(by_age_.begin(), by_age_.end(), std::greater<>());
    auto& [latest, key] = by_age_.back();
    const double now = index_.find(key)->latest;
    if (latest < now) {
      latest = now;
      std::push_heap(by_age_.begin(), by_age_.end(), std::greater<>());
    } else {
      index_.erase(key);
      by_age_.pop_back();
    }
  }
}

void EntityMemory::observe_row(EntityKey key, double time, const float* labels, const float* base) {
  Entity& entity = find_or_add(key);
  entity.latest = std::max(entity.latest, options_.timed ? time : ++observations_);
  add(entity, time, labels, base);
}

void EntityMemory::observe(EntityKey key, double time, const float* labels, const float* base) {
  check_time(time);
  check_labels(labels, -1);
  check_base(labels, base, -1);
  if (key == kNoEntity) return;
  observe_row(key, time, labels, base);
  forget_excess();
  if (options_.timed) latest_time_ = std::max(latest_time_, time);
}

// Whether an event of that time may be among those of the entity.
bool EntityMemory::has_event(const Entity& entity, double time) const {
  if (!options_.timed) return true;
  const std::span<const double> times = entity.event_times();
  if (entity.folded_events > 0 && time < times.front()) return true;
  return std::binary_search(times.begin(), times.end(), time);
}

bool EntityMemory::label(EntityKey key, double time, const float* labels, const float* base,
                         std::optional<double> known_from) {
  check_time(time);
  if (known_from) check_time(*known_from);
  if (!labelled(labels)) refuse("labels: expected the label of the event, got none");
  check_labels(labels, -1);
  check_base(labels, base, -1);
  Entity* const before = key == kNoEntity ? nullptr : index_.find(key);
  if (before == nullptr || !has_event(*before, time)) return false;
  if (!options_.timed) {
    ++before->folded_labels;
    for (Index c = 0; c < channels_; ++c) before->sums()[c] += static_cast<double>(labels[c]);
    return true;
  }
  double at = time;
  if (known_from) {
    // The latest time of an event whose label is known by then, whatever the rounding.
    at = *known_from - options_.label_delay;
    while (at + options_.label_delay > *known_from || at >= *known_from) {
      at = std::nextafter(at, -kInfinity);
    }
  }
  Entity& entity = index_.with_room(*before, false, true);
  add_label(entity, at, labels, base, entity.event_times().back());
  fold_excess(entity);
  return true;
}

EntityMemory EntityMemory::empty_copy(std::size_t parts) const {
  EntityOptions options = options_;
  const auto n = static_cast<std::int64_t>(parts);
  options.max_entities = (options.max_entities + n - 1) / n;
  EntityMemory out(std::move(options), prior_, task_);
  out.latest_time_ = latest_time_;
  out.observations_ = observations_;
  return out;
}

void EntityMemory::take(const Entity& entity) {
  Entity& copy = index_.find_or_add(entity.key, entity.events, entity.labels);
  entity.copy_to(copy);
  if (options_.max_entities == 0) return;
  by_age_.emplace_back(copy.latest, copy.key);
  std::push_heap(by_age_.begin(), by_age_.end(), std::greater<>());
}

Index EntityMemory::retained() const {
  std::size_t total = 0;
  index_.for_each([&](const Entity& entity) {
    total += std::size_t{entity.events} + std::size_t{entity.labels};
  });
  return static_cast<Index>(total);
}

}  // namespace ecseq::relation
