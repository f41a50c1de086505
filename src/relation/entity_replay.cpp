#include <algorithm>
#include <cmath>
#include <utility>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/relation/entity_memory.hpp"

namespace ecseq::relation {
namespace {

constexpr Index kGroupChunk = 64;

[[noreturn]] void refuse(const std::string& message) { throw InvalidArgument(message); }

/// A row of a batch, in the order in which its entity saw it.
struct Row {
  EntityKey key;
  double time;
  Index row;
};

/// The rows of a batch that have an entity.
std::vector<Row> rows_of(std::span<const EntityKey> keys, std::span<const double> times) {
  std::vector<Row> rows;
  rows.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] != kNoEntity) rows.push_back({keys[i], times[i], static_cast<Index>(i)});
  }
  return rows;
}

/// Where runs of equal rows begin; one more than there are runs.
template <class Same>
std::vector<std::size_t> starts_of(std::span<const Row> rows, Same same) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i == 0 || !same(rows[i], rows[i - 1])) starts.push_back(i);
  }
  starts.push_back(rows.size());
  return starts;
}

std::span<const Row> run(const std::vector<Row>& rows, const std::vector<std::size_t>& starts,
                         std::size_t i) {
  return {rows.data() + starts[i], starts[i + 1] - starts[i]};
}

}  // namespace

struct EntityMemory::Batch {
  std::span<const EntityKey> keys;
  std::span<const double> times;
  MatrixView<float> labels;
  MatrixView<float> base;

  Index size() const { return static_cast<Index>(keys.size()); }
  const float* base_row(Index i) const { return base.empty() ? nullptr : base.row(i); }
};

/// What a replay gives: features, and extras where they are asked for.
struct EntityMemory::Answers {
  Matrix<float> features;
  Extras* extras = nullptr;
  std::vector<Index> counts;  ///< [n] recent rows, if asked for

  bool recent() const { return extras != nullptr && extras->with_recent; }
  /// Recent rows, row after row of `order`, come to stand in the order of the batch.
  void place_recent(std::span<const Row> order, const std::vector<float>& rows) {
    const Index columns = extras->recent.cols();
    const float* from = rows.data();
    for (const Row& row : order) {
      const auto at = static_cast<std::size_t>(row.row);
      std::copy_n(from, counts[at] * columns,
                  extras->recent.data() + extras->offsets[at] * columns);
      from += counts[at] * columns;
    }
  }
  void size_recent(Index columns) {
    extras->offsets.assign(1, 0);
    for (const Index count : counts) extras->offsets.push_back(extras->offsets.back() + count);
    extras->recent.resize(extras->offsets.back(), columns);
  }
};

void EntityMemory::check_batch(const Batch& batch) const {
  const Index n = batch.size();
  const auto shape = [](MatrixView<float> x) {
    return std::string("[") + std::to_string(x.rows) + ", " + std::to_string(x.cols) + "]";
  };
  if (static_cast<Index>(batch.times.size()) != n || batch.labels.rows != n ||
      batch.labels.cols != channels_) {
    refuse("replay: expected times of " + std::to_string(n) + " rows and labels [" +
           std::to_string(n) + ", " + std::to_string(channels_) + "] for " + std::to_string(n) +
           " keys, got " + std::to_string(batch.times.size()) + " and " + shape(batch.labels));
  }
  if (options_.base_outputs && (batch.base.rows != n || batch.base.cols != channels_)) {
    refuse("replay: expected base [" + std::to_string(n) + ", " + std::to_string(channels_) +
           "], got " + shape(batch.base));
  }
  for (Index i = 0; i < n; ++i) {
    const auto row = static_cast<std::size_t>(i);
    const double time = batch.times[row];
    if (!std::isfinite(time)) {
      refuse("times, row " + std::to_string(i) + ": expected a finite value, got " +
             std::to_string(time));
    }
    check_labels(batch.labels.row(i), i);
    check_base(batch.labels.row(i), batch.base_row(i), i);
    const Entity& entity = find(batch.keys[row]);
    if (time < entity.exact_from) {
      refuse("times, row " + std::to_string(i) + ": " + std::to_string(time) + " is earlier than " +
             std::to_string(entity.exact_from) +
             ", up to which older events of its entity were folded into totals");
    }
  }
}

void EntityMemory::answer(const Entity& entity, double time, Index row, Answers& answers,
                          std::vector<float>& rows) const {
  write(entity, time, answers.features.row(row).data());
  if (answers.extras == nullptr) return;
  double* const evidence_row = answers.extras->evidence.row(row).data();
  evidence_row[channels_] = evidence(entity, time, evidence_row);
  if (answers.recent()) answers.counts[static_cast<std::size_t>(row)] = recent(entity, time, rows);
}

Matrix<float> EntityMemory::replay(std::span<const EntityKey> keys, std::span<const double> times,
                                   MatrixView<float> labels, MatrixView<float> base,
                                   int num_threads, Extras* extras) {
  if (!options_.timed) {
    refuse("replay needs a timed memory; this one is untimed: use leave_one_out");
  }
  const Batch batch{keys, times, labels, base};
  check_batch(batch);
  Answers answers;
  answers.extras = extras;
  answers.features.resize(batch.size(), n_features());
  if (extras != nullptr) extras->evidence.resize(batch.size(), channels_ + 1);
  if (answers.recent()) answers.counts.assign(keys.size(), 0);
  std::vector<float> nothing;
  for (Index i = 0; i < batch.size(); ++i) {
    const auto row = static_cast<std::size_t>(i);
    if (keys[row] == kNoEntity) answer(index_.nobody(), times[row], i, answers, nothing);
  }
  if (options_.max_entities > 0) {
    replay_by_time(batch, answers);
  } else {
    replay_by_entity(batch, answers, num_threads);
  }
  return std::move(answers.features);
}

// Entities do not see each other, so that each can be replayed on its own.
void EntityMemory::replay_by_entity(const Batch& batch, Answers& answers, int num_threads) {
  std::vector<Row> rows = rows_of(batch.keys, batch.times);
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    if (a.key != b.key) return a.key < b.key;
    if (a.time != b.time) return a.time < b.time;
    return a.row < b.row;
  });
  const auto starts = starts_of(rows, [](const Row& a, const Row& b) { return a.key == b.key; });
  const std::size_t groups = starts.size() - 1;
  for (std::size_t g = 0; g < groups; ++g) {
    const std::span<const Row> group = run(rows, starts, g);
    Entity& entity = find_or_add(group.front().key);
    entity.latest = std::max(entity.latest, group.back().time);
    latest_time_ = std::max(latest_time_, group.back().time);
  }
  std::vector<std::vector<float>> recent_of(groups);
  parallel_chunks(
      static_cast<Index>(groups), kGroupChunk, num_threads, [&](Index first, Index last) {
        for (auto g = static_cast<std::size_t>(first); g < static_cast<std::size_t>(last); ++g) {
          const std::span<const Row> group = run(rows, starts, g);
          Entity* entity = index_.find(group.front().key);
          for (std::size_t begin = 0, end = 0; begin < group.size(); begin = end) {
            while (end < group.size() && group[end].time == group[begin].time) {
              answer(*entity, group[end].time, group[end].row, answers, recent_of[g]);
              ++end;
            }
            for (std::size_t i = begin; i < end; ++i) {
              const Index row = group[i].row;
              entity = &add(*entity, group[i].time, batch.labels.row(row), batch.base_row(row));
            }
          }
        }
      });
  if (!answers.recent()) return;
  answers.size_recent(n_recent_columns());
  for (std::size_t g = 0; g < groups; ++g) {
    answers.place_recent(run(rows, starts, g), recent_of[g]);
  }
}

// Which entities are known depends on all others: moment by moment.
void EntityMemory::replay_by_time(const Batch& batch, Answers& answers) {
  std::vector<Row> rows = rows_of(batch.keys, batch.times);
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    if (a.time != b.time) return a.time < b.time;
    if (a.key != b.key) return a.key < b.key;
    return a.row < b.row;
  });
  const auto starts = starts_of(rows, [](const Row& a, const Row& b) { return a.time == b.time; });
  std::vector<float> recent_rows;
  for (std::size_t g = 0; g + 1 < starts.size(); ++g) {
    const std::span<const Row> moment = run(rows, starts, g);
    for (const Row& row : moment) answer(find(row.key), row.time, row.row, answers, recent_rows);
    for (const Row& row : moment) {
      observe_row(row.key, row.time, batch.labels.row(row.row), batch.base_row(row.row));
    }
    forget_excess();
    latest_time_ = std::max(latest_time_, moment.front().time);
  }
  if (!answers.recent()) return;
  answers.size_recent(n_recent_columns());
  answers.place_recent(rows, recent_rows);
}

Matrix<float> EntityMemory::leave_one_out(std::span<const EntityKey> keys, MatrixView<float> labels,
                                          int num_threads, Extras* extras) {
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
    if (key != kNoEntity) observe_row(key, 0, labels.row(i), nullptr);
  }
  Matrix<float> out(n, n_features());
  if (extras != nullptr) extras->evidence.resize(n, channels_ + 1);
  parallel_chunks(n, 4096, num_threads, [&](Index first, Index last) {
    std::vector<double> others(static_cast<std::size_t>(channels_));
    for (Index i = first; i < last; ++i) {
      const EntityKey key = keys[static_cast<std::size_t>(i)];
      const Entity& entity = find(key);
      const bool self = key != kNoEntity;
      const bool own = self && labelled(labels.row(i));
      for (Index c = 0; c < channels_; ++c) {
        others[static_cast<std::size_t>(c)] =
            entity.sums()[c] - (own ? static_cast<double>(labels(i, c)) : 0.0);
      }
      const auto count = static_cast<double>(entity.folded_labels - own);
      write_untimed(static_cast<double>(entity.folded_events - self), count, others.data(),
                    out.row(i).data());
      if (extras == nullptr) continue;
      double* const evidence_row = extras->evidence.row(i).data();
      write_evidence(others.data(), count, evidence_row);
      evidence_row[channels_] = count;
    }
  });
  forget_excess();
  return out;
}

}  // namespace ecseq::relation
