// How an EntityMemory is stored: the arrays of all entities one after the other, in the order of
// their keys, so that equal memories give equal bytes.

#include <algorithm>
#include <bit>
#include <cmath>

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
  file.metadata[prefix + "by"] = options_.by;
  file.integers[prefix + "options"] = {options_.memory, options_.timed ? 1 : 0,
                                       static_cast<std::int64_t>(task_)};
  file.doubles[prefix + "options_seconds"] = {options_.label_delay, options_.prior_strength,
                                              latest_time_};
  file.doubles[prefix + "windows"] = options_.windows;
  file.doubles[prefix + "prior"] = prior_;

  std::vector<std::pair<EntityKey, std::size_t>> order(index_.begin(), index_.end());
  std::sort(order.begin(), order.end());
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
  for (const auto& [key, at] : order) {
    const Entity& entity = entities_[at];
    keys.push_back(std::bit_cast<std::int64_t>(key));
    folded.push_back(entity.folded_events);
    folded.push_back(entity.folded_labels);
    events.push_back(static_cast<std::int64_t>(entity.times.size()));
    labels.push_back(static_cast<std::int64_t>(entity.label_times.size()));
    fold_at.push_back(static_cast<std::int64_t>(entity.fold_at));
    exact_from.push_back(entity.exact_from);
    folded_sums.insert(folded_sums.end(), entity.sums.begin(), entity.sums.begin() + channels_);
    event_times.insert(event_times.end(), entity.times.begin(), entity.times.end());
    label_times.insert(label_times.end(), entity.label_times.begin(), entity.label_times.end());
    values.insert(values.end(), entity.labels.begin(), entity.labels.end());
  }
  file.floats[prefix + "label_values"] = Eigen::Map<const Matrix<float>>(
      values.data(), static_cast<Index>(label_times.size()), channels_);
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
  options.timed = integers[1] == 1;
  const auto& seconds = require(file.doubles, prefix + "options_seconds", 3);
  options.label_delay = seconds[0];
  options.prior_strength = seconds[1];
  options.windows = require(file.doubles, prefix + "windows");

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
    expect(memory.labelled(values.row(i).data()), prefix + "label_values", "a label is missing");
    try {
      memory.check_labels(values.row(i).data(), i);
    } catch (const InvalidArgument& error) {
      throw FileError("tensor '" + prefix + "label_values': " + error.what());
    }
  }

  const auto good_times = [](auto begin, auto end) {
    return std::is_sorted(begin, end) &&
           std::all_of(begin, end, [](double time) { return std::isfinite(time); });
  };
  auto event = event_times.begin();
  auto label = label_times.begin();
  const float* value = values.data();
  memory.entities_.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    Entity entity;
    entity.folded_events = folded[2 * i];
    entity.folded_labels = folded[2 * i + 1];
    entity.exact_from = exact_from[i];
    expect(entity.folded_events >= 0 && entity.folded_labels >= 0 &&
               entity.folded_events <= (std::int64_t{1} << 53) &&
               entity.folded_labels <= entity.folded_events + events[i],
           prefix + "folded", "counts are out of range");
    expect(!std::isnan(entity.exact_from), prefix + "exact_from", "a time is not a number");
    entity.times.assign(event, event + events[i]);
    entity.label_times.assign(label, label + labels[i]);
    entity.labels.assign(value, value + labels[i] * memory.channels_);
    expect(good_times(entity.times.begin(), entity.times.end()), prefix + "event_times",
           "times are not finite and increasing");
    expect(good_times(entity.label_times.begin(), entity.label_times.end()), prefix + "label_times",
           "times are not finite and increasing");
    expect(options.timed ? !entity.times.empty() : entity.times.empty() && labels[i] == 0,
           prefix + "events", "an entity's events do not fit the kind of memory");
    entity.sums.assign(folded_sums.begin() + static_cast<std::ptrdiff_t>(i * channels),
                       folded_sums.begin() + static_cast<std::ptrdiff_t>((i + 1) * channels));
    for (const double sum : entity.sums) {
      // Sums of class labels lie between 0 and their number, up to rounding.
      const bool good =
          memory.task_ == Task::kRegression
              ? std::isfinite(sum)
              : sum >= -1e-6 && sum <= static_cast<double>(entity.folded_labels) + 1e-6;
      expect(good, prefix + "folded_sums", "a sum is impossible");
    }
    for (const float y : entity.labels) {
      entity.sums.push_back(entity.sums[entity.sums.size() - channels] + static_cast<double>(y));
    }
    entity.fold_at = static_cast<std::size_t>(fold_at[i]);
    expect(fold_at[i] >= 32 && fold_at[i] <= (std::int64_t{1} << 40), prefix + "fold_at",
           "a size is out of range");
    event += events[i];
    label += labels[i];
    value += labels[i] * memory.channels_;
    const auto key = std::bit_cast<EntityKey>(keys[i]);
    expect(key != kNoEntity && memory.index_.try_emplace(key, memory.entities_.size()).second,
           prefix + "keys", "a key is zero or appears twice");
    memory.entities_.push_back(std::move(entity));
  }
  return memory;
}

}  // namespace ecseq::relation
