// How an EntityMemory is stored: the arrays of all entities one after the other, in the order of
// their keys, so that equal memories give equal bytes.

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "ecseq/core/error.hpp"
#include "ecseq/relation/entity_memory.hpp"

namespace ecseq::relation {
namespace {

/// Looks up one tensor; refuses in words where it is missing or has the wrong size.
template <class Value>
const Value& require(const std::map<std::string, Value>& tensors, const std::string& name) {
  const auto at = tensors.find(name);
  if (at == tensors.end()) throw FileError("tensor '" + name + "' is missing");
  return at->second;
}

void expect(bool condition, const std::string& name, const std::string& what) {
  if (!condition) throw FileError("tensor '" + name + "': " + what);
}

template <class T>
const std::vector<T>& require(const std::map<std::string, std::vector<T>>& tensors,
                              const std::string& name, std::size_t size) {
  const auto& values = require(tensors, name);
  expect(values.size() == size, name,
         "expected " + std::to_string(size) + " values, got " + std::to_string(values.size()));
  return values;
}

/// The sum of counts that must cover `available` values exactly, checked one by one so that no
/// sum can overflow.
void expect_cover(const std::vector<std::int64_t>& counts, std::size_t available,
                  const std::string& name) {
  auto left = static_cast<std::int64_t>(available);
  for (const std::int64_t count : counts) {
    expect(count >= 0 && count <= left, name, "counts do not fit the stored events");
    left -= count;
  }
  expect(left == 0, name, "counts do not cover the stored events");
}

}  // namespace

void EntityMemory::save(io::TensorFile& file, const std::string& prefix) const {
  const EntityMemory* const self = this;
  save_parts({&self, 1}, options_.max_entities, file, prefix);
}

void EntityMemory::save_parts(std::span<const EntityMemory* const> parts, std::int64_t max_entities,
                              io::TensorFile& file, const std::string& prefix) const {
  double latest_time = latest_time_;
  std::vector<const Entity*> order;
  for (const EntityMemory* const part : parts) {
    latest_time = std::max(latest_time, part->latest_time_);
    part->index_.for_each([&](const Entity& entity) { order.push_back(&entity); });
  }
  std::sort(order.begin(), order.end(),
            [](const Entity* a, const Entity* b) { return a->key < b->key; });
  file.metadata[prefix + "by"] = options_.by;
  file.metadata[prefix + "aggregator"] = options_.aggregator;
  file.integers[prefix + "options"] = {options_.memory, options_.timed ? 1 : 0,
                                       static_cast<std::int64_t>(task_)};
  file.doubles[prefix + "options_seconds"] = {options_.label_delay, options_.prior_strength,
                                              latest_time};
  file.doubles[prefix + "windows"] = options_.windows;
  file.doubles[prefix + "prior"] = prior_;
  file.integers[prefix + "more_options"] = {options_.base_outputs ? 1 : 0, options_.set ? 1 : 0,
                                            max_entities,
                                            static_cast<std::int64_t>(options_.half_lives.size())};
  if (!options_.half_lives.empty()) file.doubles[prefix + "half_lives"] = options_.half_lives;

  auto& keys = file.integers[prefix + "keys"];
  auto& folded = file.integers[prefix + "folded"];  // events, labels
  auto& events = file.integers[prefix + "events"];
  auto& labels = file.integers[prefix + "labels"];
  auto& fold_at = file.integers[prefix + "fold_at"];
  auto& exact_from = file.doubles[prefix + "exact_from"];
  auto& folded_sums = file.doubles[prefix + "folded_sums"];
  auto& event_times = file.doubles[prefix + "event_times"];
  auto& label_times = file.doubles[prefix + "label_times"];
  std::vector<float> values;
  std::vector<float> base;
  const auto channels = static_cast<std::size_t>(channels_);
  const auto append = [](auto& to, const auto* from, std::size_t count) {
    to.insert(to.end(), from, from + count);
  };
  for (const Entity* const entity : order) {
    keys.push_back(std::bit_cast<std::int64_t>(entity->key));
    folded.push_back(entity->folded_events);
    folded.push_back(entity->folded_labels);
    events.push_back(static_cast<std::int64_t>(entity->events));
    labels.push_back(static_cast<std::int64_t>(entity->labels));
    fold_at.push_back(static_cast<std::int64_t>(entity->fold_at));
    exact_from.push_back(entity->exact_from);
    append(folded_sums, entity->sums(), channels);
    append(event_times, entity->event_times().data(), entity->events);
    append(label_times, entity->label_times().data(), entity->labels);
    append(values, entity->label_values(), entity->labels * channels);
    if (options_.base_outputs) append(base, entity->base(), entity->labels * channels);
  }
  file.floats[prefix + "label_values"] = Eigen::Map<const Matrix<float>>(
      values.data(), static_cast<Index>(label_times.size()), channels_);
  if (options_.base_outputs) {
    file.floats[prefix + "base_values"] = Eigen::Map<const Matrix<float>>(
        base.data(), static_cast<Index>(label_times.size()), channels_);
  }
  if (!options_.timed) {
    auto& latest = file.doubles[prefix + "latest"];
    for (const Entity* const entity : order) latest.push_back(entity->latest);
  }
  if (options_.half_lives.empty()) return;
  const std::size_t half_lives = options_.half_lives.size();
  auto& until = file.doubles[prefix + "decayed_until"];  // events, labels
  auto& decayed_events = file.doubles[prefix + "decayed_events"];
  auto& decayed_labels = file.doubles[prefix + "decayed_labels"];
  for (const Entity* const entity : order) {
    until.push_back(entity->events_until);
    until.push_back(entity->labels_until);
    append(decayed_events, entity->decayed_events(), half_lives);
    append(decayed_labels, entity->decayed_labels(), half_lives * (channels + 1));
  }
}

/// The sums of what was folded; everything later is added up again, in the same order.
void EntityMemory::load_decayed(const io::TensorFile& file, const std::string& prefix,
                                std::span<Entity* const> entities) const {
  if (options_.half_lives.empty()) return;
  const std::size_t n = entities.size();
  const std::size_t half_lives = options_.half_lives.size();
  const std::size_t columns = half_lives * static_cast<std::size_t>(channels_ + 1);
  const auto& until = require(file.doubles, prefix + "decayed_until", 2 * n);
  const auto& events = require(file.doubles, prefix + "decayed_events", n * half_lives);
  const auto& labels = require(file.doubles, prefix + "decayed_labels", n * columns);
  const auto copy_part = [](const std::vector<double>& all, std::size_t i, std::size_t size,
                            const std::string& name, double* to) {
    for (std::size_t j = 0; j < size; ++j) {
      to[j] = all[i * size + j];
      expect(std::isfinite(to[j]), name, "a sum is not finite");
    }
  };
  for (std::size_t i = 0; i < n; ++i) {
    Entity& entity = *entities[i];
    for (const bool of_labels : {false, true}) {
      const std::span<const double> times = of_labels ? entity.label_times() : entity.event_times();
      const double at = until[2 * i + of_labels];
      expect(!std::isnan(at) && (times.empty() || at <= times.front()) &&
                 at < std::numeric_limits<double>::infinity(),
             prefix + "decayed_until", "a time is impossible");
    }
    entity.events_until = until[2 * i];
    entity.labels_until = until[2 * i + 1];
    copy_part(events, i, half_lives, prefix + "decayed_events", entity.decayed_events());
    copy_part(labels, i, columns, prefix + "decayed_labels", entity.decayed_labels());
    update_decayed_events(entity, 0);
    update_decayed_labels(entity, 0);
  }
}

EntityMemory EntityMemory::load(const io::TensorFile& file, const std::string& prefix) {
  EntityOptions options;
  const auto by = file.metadata.find(prefix + "by");
  if (by == file.metadata.end()) throw FileError("metadata '" + prefix + "by' is missing");
  options.by = by->second;
  const auto& integers = require(file.integers, prefix + "options", 3);
  expect(integers[0] >= 1 && integers[0] <= (std::int64_t{1} << 30), prefix + "options",
         "memory is out of range");
  expect((integers[1] == 0 || integers[1] == 1) && integers[2] >= 0 &&
             integers[2] <= static_cast<std::int64_t>(Task::kRegression),
         prefix + "options", "unknown task or kind of time");
  options.memory = static_cast<int>(integers[0]);
  const auto aggregator = file.metadata.find(prefix + "aggregator");
  expect(aggregator != file.metadata.end(), prefix + "aggregator", "is missing");
  options.aggregator = aggregator->second;
  expect(
      options.aggregator == "summary" || options.aggregator == "gru" || options.aggregator == "gnn",
      prefix + "aggregator", "is of no known kind");
  options.timed = integers[1] == 1;
  const auto& seconds = require(file.doubles, prefix + "options_seconds", 3);
  options.label_delay = seconds[0];
  options.prior_strength = seconds[1];
  options.windows = require(file.doubles, prefix + "windows");
  const auto& more = require(file.integers, prefix + "more_options", 4);
  expect(more[3] >= 0, prefix + "more_options", "a number of half-lives is negative");
  expect((more[0] == 0 || more[0] == 1) && (more[1] == 0 || more[1] == 1), prefix + "more_options",
         "a switch is neither 0 nor 1");
  options.base_outputs = more[0] == 1;
  options.set = more[1] == 1;
  options.max_entities = more[2];
  if (more[3] > 0) {
    options.half_lives =
        require(file.doubles, prefix + "half_lives", static_cast<std::size_t>(more[3]));
  }

  EntityMemory memory = [&] {
    try {
      return EntityMemory(options, require(file.doubles, prefix + "prior"),
                          static_cast<Task>(integers[2]));
    } catch (const InvalidArgument& error) {
      throw FileError("tensors '" + prefix + "*': " + error.what());
    }
  }();
  memory.latest_time_ = seconds[2];
  expect(!std::isnan(seconds[2]), prefix + "options_seconds", "latest time is not a number");

  const auto& keys = require(file.integers, prefix + "keys");
  const std::size_t n = keys.size();
  const auto channels = static_cast<std::size_t>(memory.channels_);
  const auto& folded = require(file.integers, prefix + "folded", 2 * n);
  const auto& events = require(file.integers, prefix + "events", n);
  const auto& labels = require(file.integers, prefix + "labels", n);
  const auto& fold_at = require(file.integers, prefix + "fold_at", n);
  const auto& exact_from = require(file.doubles, prefix + "exact_from", n);
  const auto& folded_sums = require(file.doubles, prefix + "folded_sums", n * channels);
  const auto& event_times = require(file.doubles, prefix + "event_times");
  const auto& label_times = require(file.doubles, prefix + "label_times");
  const auto& values = require(file.floats, prefix + "label_values");
  expect_cover(events, event_times.size(), prefix + "events");
  expect_cover(labels, label_times.size(), prefix + "labels");
  expect(
      values.rows() == static_cast<Index>(label_times.size()) && values.cols() == memory.channels_,
      prefix + "label_values", "expected one row per label and one column per channel");
  for (Index i = 0; i < values.rows(); ++i) {
    expect(memory.labelled(values.data() + i * values.cols()), prefix + "label_values",
           "a label is missing");
    try {
      memory.check_labels(values.data() + i * values.cols(), i);
    } catch (const InvalidArgument& error) {
      throw FileError("tensor '" + prefix + "label_values': " + error.what());
    }
  }

  static const SharedMatrix kNoBase;
  const auto& base = options.base_outputs ? require(file.floats, prefix + "base_values") : kNoBase;
  if (options.base_outputs) {
    expect(base.rows() == values.rows() && base.cols() == values.cols() && base.eigen().allFinite(),
           prefix + "base_values", "expected one finite value per label and channel");
  }
  static const std::vector<double> kNoOrder;
  const bool ordered = !options.timed && file.doubles.count(prefix + "latest") > 0;
  const auto& latest = ordered ? require(file.doubles, prefix + "latest", n) : kNoOrder;

  const auto good_times = [](auto begin, auto end) {
    return std::is_sorted(begin, end) &&
           std::all_of(begin, end, [](double time) { return std::isfinite(time); });
  };
  const double* event = event_times.data();
  const double* label = label_times.data();
  const float* value = values.data();
  const float* base_value = base.data();
  std::vector<Entity*> entities;
  entities.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto key = std::bit_cast<EntityKey>(keys[i]);
    expect(key != kNoEntity && !memory.knows(key), prefix + "keys",
           "a key is zero or appears twice");
    const auto n_events = static_cast<std::size_t>(events[i]);
    const auto n_labels = static_cast<std::size_t>(labels[i]);
    Entity& entity = memory.index_.find_or_add(key, n_events, n_labels);
    entities.push_back(&entity);
    entity.folded_events = folded[2 * i];
    entity.folded_labels = folded[2 * i + 1];
    entity.exact_from = exact_from[i];
    expect(entity.folded_events >= 0 && entity.folded_labels >= 0 &&
               entity.folded_events <= (std::int64_t{1} << 53) &&
               entity.folded_labels <= entity.folded_events + events[i],
           prefix + "folded", "counts are out of range");
    expect(!std::isnan(entity.exact_from), prefix + "exact_from", "a time is not a number");
    expect(good_times(event, event + n_events), prefix + "event_times",
           "times are not finite and increasing");
    expect(good_times(label, label + n_labels), prefix + "label_times",
           "times are not finite and increasing");
    expect(options.timed ? n_events > 0 : n_events == 0 && n_labels == 0, prefix + "events",
           "an entity's events do not fit the kind of memory");
    entity.events = static_cast<std::uint32_t>(n_events);
    entity.labels = static_cast<std::uint32_t>(n_labels);
    std::copy_n(event, n_events, entity.event_times().data());
    std::copy_n(label, n_labels, entity.label_times().data());
    std::copy_n(value, n_labels * channels, entity.label_values());
    if (options.base_outputs) {
      std::copy_n(base_value, n_labels * channels, entity.base());
      for (std::size_t at = 0; at < n_labels * channels; at += channels) {
        memory.expect_beyond(value + at, base_value + at, entity.beyond() + at);
      }
      base_value += n_labels * channels;
    }
    double* const sums = entity.sums();
    for (std::size_t c = 0; c < channels; ++c) {
      sums[c] = folded_sums[i * channels + c];
      // Sums of class labels lie between 0 and their number, up to rounding.
      const bool good =
          memory.task_ == Task::kRegression
              ? std::isfinite(sums[c])
              : sums[c] >= -1e-6 && sums[c] <= static_cast<double>(entity.folded_labels) + 1e-6;
      expect(good, prefix + "folded_sums", "a sum is impossible");
    }
    for (std::size_t j = 0; j < n_labels * channels; ++j) {
      sums[channels + j] = sums[j] + static_cast<double>(value[j]);
    }
    entity.fold_at = static_cast<std::uint64_t>(fold_at[i]);
    expect(fold_at[i] >= 32 && fold_at[i] <= (std::int64_t{1} << 40), prefix + "fold_at",
           "a size is out of range");
    event += n_events;
    label += n_labels;
    value += n_labels * channels;
    if (ordered) {
      expect(latest[i] >= 1 && latest[i] <= 9007199254740992.0, prefix + "latest",
             "an observation's number is impossible");
      memory.observations_ = std::max(memory.observations_, latest[i]);
    }
    if (options.timed) {
      entity.latest = entity.event_times().back();
    } else if (ordered) {
      entity.latest = latest[i];
    }
    if (options.max_entities > 0) memory.by_age_.emplace_back(entity.latest, key);
  }
  std::make_heap(memory.by_age_.begin(), memory.by_age_.end(), std::greater<>());
  memory.load_decayed(file, prefix, entities);
  return memory;
}

}  // namespace ecseq::relation
