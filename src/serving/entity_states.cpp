#include "ecseq/serving/entity_states.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

#include "ecseq/core/cache_line.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/io/checksum.hpp"
#include "ecseq/io/safetensors.hpp"
#include "ecseq/relation/entity_set.hpp"
#include "waiting_events.hpp"

namespace ecseq::serving {
namespace {

using relation::EntityKey;
using relation::EntityMemory;
using relation::kNoEntity;

/// Part of one relation.
struct alignas(kCacheLine) Shard {
  explicit Shard(EntityMemory memory_) : memory(std::move(memory_)) {
    index.show(memory.index_place());
  }
  void observe(EntityKey key, double time) {
    const std::lock_guard lock(mutex);
    memory.observe(key, time, nullptr);
    index.show(memory.index_place());
  }

  mutable std::mutex mutex;
  EntityMemory memory;
  TableHint index;
};

std::string prefix_of(std::size_t relation) { return "relation." + std::to_string(relation) + "."; }

void refuse_waiting(std::uint64_t event_id) {
  throw InvalidArgument("event_id " + std::to_string(event_id) +
                        " is that of an event which waits for its label");
}

}  // namespace

struct EntityStates::Parts {
  Parts(const std::vector<EntityMemory>& memories, Task task_, double mean, double std_deviation,
        const EntityStatesOptions& options_)
      : options(options_),
        task(task_),
        target_mean(mean),
        target_std(std_deviation),
        configuration(configuration_of(memories, task_, mean, std_deviation)),
        waiting(options_.max_pending) {
    for (const EntityMemory& memory : memories) {
      for (EntityMemory& part : memory.split(static_cast<std::size_t>(options.shards),
                                             [&](EntityKey key) { return part_of(key); })) {
        shards.push_back(std::make_unique<Shard>(std::move(part)));
      }
      max_entities.push_back(memory.options().max_entities);
      channels = memory.n_channels();
      with_base = with_base || memory.options().base_outputs;
      see(memory.latest_time());
    }
  }

  /// Other bits of a product than those by which a memory finds its slot.
  std::size_t part_of(EntityKey key) const {
    const std::uint64_t mixed = (key * 0xd6e8feb86659fd93ULL) >> 32;
    return static_cast<std::size_t>(mixed * static_cast<std::uint64_t>(options.shards) >> 32);
  }
  Shard& shard(std::size_t relation, EntityKey key) const {
    return *shards[relation * static_cast<std::size_t>(options.shards) + part_of(key)];
  }
  /// Any part, for what all have in common.
  const EntityMemory& memory(std::size_t relation) const { return shard(relation, 0).memory; }
  std::size_t relations() const { return max_entities.size(); }

  void see(double time) {
    double seen = latest_time.load(std::memory_order_relaxed);
    while (seen < time && !latest_time.compare_exchange_weak(seen, time)) {
    }
  }

  void check_keys(std::size_t relation, std::span<const EntityKey> keys) const {
    if (memory(relation).options().set || keys.size() <= 1) return;
    throw InvalidArgument("entities['" + memory(relation).options().by +
                          "']: expected one key or none, got " + std::to_string(keys.size()));
  }
  void check_event(double time, EntityKeys entities, std::span<const float> base) const;
  std::vector<float> label_values(double y) const;
  InlineList<float, 2> in_label_units(std::span<const float> base) const;
  /// Each member of an event once. use(shard, key)
  template <class Use>
  void for_each_entity(std::size_t relation, std::span<const EntityKey> keys, Use use) const {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const EntityKey key = keys[i];
      const auto before = keys.begin() + static_cast<std::ptrdiff_t>(i);
      if (key != kNoEntity && std::find(keys.begin(), before, key) == before) {
        use(shard(relation, key), key);
      }
    }
  }
  void set_facts(std::size_t relation, std::span<const EntityKey> keys, double time, float* out,
                 Arena& scratch) const;
  void write(const PendingEvents& pending, io::TensorFile& file) const;
  void read_pending(const io::TensorFile& file, PendingEvents& pending);

  EntityStatesOptions options;
  Task task;
  double target_mean;
  double target_std;
  std::string configuration;
  Index channels = 1;
  bool with_base = false;
  std::vector<std::int64_t> max_entities;      ///< by relation, of all its shards
  std::vector<std::unique_ptr<Shard>> shards;  ///< [relations, shards]
  std::atomic<double> latest_time{-std::numeric_limits<double>::infinity()};
  WaitingEvents waiting;
};

void EntityStates::Parts::check_event(double time, EntityKeys entities,
                                      std::span<const float> base) const {
  if (!std::isfinite(time)) {
    throw InvalidArgument("time must be finite, got " + std::to_string(time));
  }
  if (entities.size() != relations()) {
    throw InvalidArgument("entities: expected keys of " + std::to_string(relations()) +
                          " relations, got " + std::to_string(entities.size()));
  }
  for (std::size_t r = 0; r < relations(); ++r) check_keys(r, entities[r]);
  if (!with_base) return;
  if (static_cast<Index>(base.size()) != channels) {
    throw InvalidArgument("base: expected " + std::to_string(channels) + " outputs, got " +
                          std::to_string(base.size()));
  }
  for (const float output : base) {
    if (!std::isfinite(output)) {
      throw InvalidArgument("base: expected finite values, got " + std::to_string(output));
    }
  }
}

// As relation::label_channels of one label.
std::vector<float> EntityStates::Parts::label_values(double y) const {
  const auto value = static_cast<float>(y);
  if (task == Task::kRegression) {
    if (!std::isfinite(value)) throw InvalidArgument("label: expected a finite value");
    return {static_cast<float>((static_cast<double>(value) - target_mean) / target_std)};
  }
  const Index classes = task == Task::kBinary ? 2 : channels;
  if (!(y >= 0 && y < static_cast<double>(classes)) || y != std::floor(y)) {
    throw InvalidArgument("label: expected a class number from 0 to " +
                          std::to_string(classes - 1) + ", got " + std::to_string(y));
  }
  if (task == Task::kBinary) return {value};
  std::vector<float> out(static_cast<std::size_t>(channels), 0.0f);
  out[static_cast<std::size_t>(y)] = 1.0f;
  return out;
}

InlineList<float, 2> EntityStates::Parts::in_label_units(std::span<const float> base) const {
  InlineList<float, 2> out;
  if (!with_base) return out;
  const bool standardised = task == Task::kRegression;
  const auto mean = static_cast<float>(target_mean), scale = static_cast<float>(target_std);
  for (const float output : base) out.append(standardised ? (output - mean) / scale : output);
  return out;
}

void EntityStates::Parts::set_facts(std::size_t relation, std::span<const EntityKey> keys,
                                    double time, float* out, Arena& scratch) const {
  relation::set_features(
      memory(relation), keys,
      [&](EntityKey key, float* features, double* evidence) {
        const Shard& of = shard(relation, key);
        const std::lock_guard lock(of.mutex);
        of.memory.features(key, time, features);
        return of.memory.evidence(key, time, evidence);
      },
      out, scratch);
}

EntityStates::EntityStates(const std::vector<EntityMemory>& memories, Task task, double target_mean,
                           double target_std, const EntityStatesOptions& options) {
  require_at_least("shards", options.shards, 1);
  if (task == Task::kRegression && !(std::isfinite(target_mean) && target_std > 0)) {
    throw InvalidArgument("target_mean and target_std must be finite, target_std above 0");
  }
  for (const EntityMemory& memory : memories) {
    if (memory.task() != task || memory.n_channels() != memories.front().n_channels()) {
      throw InvalidArgument("memories: expected all of one task, that of the model");
    }
  }
  parts_ = std::make_unique<Parts>(memories, task, target_mean, target_std, options);
}

EntityStates::EntityStates(EntityStates&&) noexcept = default;
EntityStates& EntityStates::operator=(EntityStates&&) noexcept = default;
EntityStates::~EntityStates() = default;

std::size_t EntityStates::relations() const { return parts_->relations(); }

Index EntityStates::width(std::size_t relation) const {
  const EntityMemory& memory = parts_->memory(relation);
  return memory.options().set ? relation::set_feature_count(memory) : memory.n_features();
}

void EntityStates::prefetch_index(std::uint64_t event_id, EntityKeys entities) const {
  for (std::size_t r = 0; r < std::min(entities.size(), relations()); ++r) {
    for (const EntityKey key : entities[r]) {
      EntityMemory::prefetch_index(parts_->shard(r, key).index, key);
    }
  }
  parts_->waiting.prefetch(event_id);
}

void EntityStates::prefetch(EntityKeys entities) const {
  for (std::size_t r = 0; r < std::min(entities.size(), relations()); ++r) {
    for (const EntityKey key : entities[r]) {
      const Shard& of = parts_->shard(r, key);
      const std::lock_guard lock(of.mutex);
      of.memory.prefetch_entity(key);
    }
  }
}

void EntityStates::facts(std::size_t relation, std::span<const EntityKey> keys, double time,
                         float* out, Arena& scratch) const {
  parts_->check_keys(relation, keys);
  if (parts_->memory(relation).options().set) {
    parts_->set_facts(relation, keys, time, out, scratch);
    return;
  }
  const EntityKey key = keys.empty() ? kNoEntity : keys.front();
  const Shard& of = parts_->shard(relation, key);
  const std::lock_guard lock(of.mutex);
  of.memory.features(key, time, out);
}

Index EntityStates::recent(std::size_t relation, EntityKey key, double time,
                           std::vector<float>& rows) const {
  const Shard& of = parts_->shard(relation, key);
  const std::lock_guard lock(of.mutex);
  return of.memory.recent(key, time, rows);
}

bool EntityStates::knows(std::size_t relation, EntityKey key) const {
  const Shard& of = parts_->shard(relation, key);
  const std::lock_guard lock(of.mutex);
  return of.memory.knows(key);
}

void EntityStates::require_new(std::uint64_t event_id) const {
  if (parts_->waiting.with([&](const auto& events) { return events.contains(event_id); })) {
    refuse_waiting(event_id);
  }
}

const std::string& EntityStates::configuration() const { return parts_->configuration; }

std::string EntityStates::configuration_of(const std::vector<EntityMemory>& memories, Task task,
                                           double target_mean, double target_std) {
  io::TensorFile file;
  for (std::size_t r = 0; r < memories.size(); ++r) memories[r].blank().save(file, prefix_of(r));
  file.integers["task"] = {static_cast<std::int64_t>(task)};
  if (task == Task::kRegression) file.doubles["units"] = {target_mean, target_std};
  io::Checksum sum;
  sum.add(io::to_bytes(file));
  return std::to_string(sum.value());
}

void EntityStates::observe(std::uint64_t event_id, double time, EntityKeys entities,
                           std::span<const float> base) {
  parts_->check_event(time, entities, base);
  PendingEvent event{time, {}, parts_->in_label_units(base)};
  for (const auto& keys : entities) {
    event.words.append(keys.size());
    event.words.append(keys);
  }
  const bool added = parts_->waiting.add(event_id, std::move(event), [&] {
    for (std::size_t r = 0; r < entities.size(); ++r) {
      parts_->for_each_entity(r, entities[r],
                              [&](Shard& of, EntityKey key) { of.observe(key, time); });
    }
    parts_->see(time);
  });
  if (!added) refuse_waiting(event_id);
}

bool EntityStates::label(std::uint64_t event_id, double y, double now) {
  const std::vector<float> values = parts_->label_values(y);
  if (!std::isfinite(now)) {
    throw InvalidArgument("now must be finite, got " + std::to_string(now));
  }
  const auto known_from = parts_->options.labels_on_arrival ? std::optional(now) : std::nullopt;
  return parts_->waiting.take(event_id, [&](const PendingEvent& event) {
    std::span<const std::uint64_t> words(event.words);
    for (std::size_t r = 0; r < parts_->relations(); ++r) {
      const std::span<const EntityKey> keys = words.subspan(1, words[0]);
      parts_->for_each_entity(r, keys, [&](Shard& of, EntityKey key) {
        const std::lock_guard lock(of.mutex);
        of.memory.label(key, event.time, values.data(), event.base.data(), known_from);
      });
      words = words.subspan(1 + keys.size());
    }
  });
}

double EntityStates::latest_time() const { return parts_->latest_time.load(); }

Index EntityStates::size(std::size_t relation) const {
  Index total = 0;
  const auto n = static_cast<std::size_t>(parts_->options.shards);
  for (std::size_t i = relation * n; i < (relation + 1) * n; ++i) {
    const std::lock_guard lock(parts_->shards[i]->mutex);
    total += parts_->shards[i]->memory.size();
  }
  return total;
}

std::size_t EntityStates::pending() const {
  return parts_->waiting.with([](const auto& events) { return events.size(); });
}

std::uint64_t EntityStates::forgotten() const {
  return parts_->waiting.with([](const auto& events) { return events.forgotten(); });
}

// The file: of each relation what EntityMemory::save writes, then the events that wait, oldest
// first.

void EntityStates::Parts::write(const PendingEvents& pending, io::TensorFile& file) const {
  file.metadata["kind"] = "ecseq entity states 1";
  file.metadata["configuration"] = configuration;
  file.doubles["latest_time"] = {latest_time.load()};
  file.integers["forgotten"] = {static_cast<std::int64_t>(pending.forgotten())};
  const auto n = static_cast<std::size_t>(options.shards);
  for (std::size_t r = 0; r < relations(); ++r) {
    std::vector<const EntityMemory*> memories;
    for (std::size_t s = 0; s < n; ++s) memories.push_back(&shards[r * n + s]->memory);
    memories.front()->save_parts(memories, max_entities[r], file, prefix_of(r));
  }
  auto& ids = file.integers["pending.ids"];
  auto& words = file.integers["pending.words"];
  auto& times = file.doubles["pending.times"];
  std::vector<float> base;
  pending.for_each([&](std::uint64_t id, const PendingEvent& event) {
    ids.push_back(std::bit_cast<std::int64_t>(id));
    times.push_back(event.time);
    for (const std::uint64_t word : event.words) {
      words.push_back(std::bit_cast<std::int64_t>(word));
    }
    base.insert(base.end(), event.base.begin(), event.base.end());
  });
  if (!with_base) return;
  file.floats["pending.base"] =
      Eigen::Map<const Matrix<float>>(base.data(), static_cast<Index>(ids.size()), channels);
}

void EntityStates::Parts::read_pending(const io::TensorFile& file, PendingEvents& pending) {
  const auto expect = [](bool condition) {
    if (!condition) throw FileError("waiting events are missing or inconsistent");
  };
  const auto find = [&](const auto& tensors, const char* name) -> const auto& {
    const auto at = tensors.find(name);
    expect(at != tensors.end());
    return at->second;
  };
  const auto& ids = find(file.integers, "pending.ids");
  const auto& words = find(file.integers, "pending.words");
  const auto& times = find(file.doubles, "pending.times");
  const auto& latest = find(file.doubles, "latest_time");
  const auto& count = find(file.integers, "forgotten");
  const SharedMatrix none;
  const auto& base = with_base ? find(file.floats, "pending.base") : none;
  expect(times.size() == ids.size() && latest.size() == 1 && !std::isnan(latest[0]) &&
         count.size() == 1 && count[0] >= 0);
  expect(!with_base || (base.rows() == static_cast<Index>(ids.size()) && base.cols() == channels &&
                        base.eigen().allFinite()));
  std::size_t at = 0;
  pending.set_forgotten(static_cast<std::uint64_t>(count[0]));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto id = std::bit_cast<std::uint64_t>(ids[i]);
    PendingEvent event{times[i], {}, {}};
    expect(std::isfinite(event.time));
    const std::size_t begin = at;
    for (std::size_t r = 0; r < relations(); ++r) {
      expect(at < words.size() && words[at] >= 0 &&
             static_cast<std::uint64_t>(words[at]) < words.size() - at);
      at += 1 + static_cast<std::size_t>(words[at]);
    }
    for (std::size_t j = begin; j < at; ++j) {
      event.words.append(std::bit_cast<std::uint64_t>(words[j]));
    }
    if (with_base) {
      const float* const row = base.data() + static_cast<Index>(i) * channels;
      event.base.append({row, static_cast<std::size_t>(channels)});
    }
    expect(pending.add(id, std::move(event)));
  }
  expect(at == words.size());
  see(latest[0]);
}

void EntityStates::save(const std::string& path) const {
  io::TensorFile file;
  parts_->waiting.at_rest([&](const auto& events) { parts_->write(events, file); });
  io::write_file(file, path);
}

EntityStates EntityStates::load(const std::string& path, const std::vector<EntityMemory>& memories,
                                Task task, double target_mean, double target_std,
                                const EntityStatesOptions& options) {
  const io::TensorFile file = io::read_file(path);
  const auto kind = file.metadata.find("kind");
  if (kind == file.metadata.end() || kind->second != "ecseq entity states 1") {
    throw FileError(path + ": not a file of entity states, or of a newer format");
  }
  const auto configuration = file.metadata.find("configuration");
  if (configuration == file.metadata.end() ||
      configuration->second != configuration_of(memories, task, target_mean, target_std)) {
    throw FileError(path + ": the states are those of a model with other entity relations");
  }
  std::vector<EntityMemory> stored;
  try {
    for (std::size_t r = 0; r < memories.size(); ++r) {
      stored.push_back(EntityMemory::load(file, prefix_of(r)));
    }
    EntityStates out(stored, task, target_mean, target_std, options);
    out.parts_->waiting.at_rest([&](auto& events) { out.parts_->read_pending(file, events); });
    return out;
  } catch (const FileError& error) {
    throw FileError(path + ": " + error.what());
  }
}

std::uint64_t event_id(std::uint64_t user, double time) {
  io::Checksum hash;
  hash.add_word(user);
  hash.add_word(std::bit_cast<std::uint64_t>(time));
  return hash.value();
}

}  // namespace ecseq::serving
