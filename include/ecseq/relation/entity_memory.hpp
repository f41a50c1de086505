#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/targets.hpp"
#include "ecseq/io/safetensors.hpp"
#include "ecseq/relation/decayed_sums.hpp"
#include "ecseq/relation/entity_index.hpp"
#include "ecseq/relation/entity_key.hpp"
#include "ecseq/relation/entity_options.hpp"
#include "ecseq/relation/entity_record.hpp"

namespace ecseq::relation {

/// Representatives by entity: what is known of each shared entity, kept causally in time.
///
/// At a query time t an event of the entity is seen iff its time is < t, and its label is known
/// iff moreover its time + label_delay <= t. With S and n the sum and number of some known labels,
/// a = prior_strength and p the channel's prior, their *rate* is how far the smoothed mean
/// (S + a p) / (n + a) lies above the prior,
///   (S - n p) / (n + a),
/// so that no evidence gives 0. (Log-odds instead cost a neural head accuracy where the prior is
/// small: one positive label more moves them far, ten more hardly.) Let u be one day, or the
/// smallest window where that is shorter. The features at t, per channel where it says so:
///   for each window w:  log(1 + events in [t - w, t)),
///                       log(1 + known labels in [t - label_delay - w, t - label_delay]),
///                       per channel the rate of those labels;
///   for each half-life: the same three of events and labels that weigh 2^(-age / half-life), the
///                       age of a label counted from when it is known;
///   of the last `memory` label-known events:
///     per channel the rate of the last 1, 3, 6 and all of them,
///     per channel the rate of those known for less than 1, 3, 7, 14 and 30 u;
///     classification only, per channel: log(1 + age / u) of the last positive, of the last
///     negative, of the oldest positive (0 if none), and log(1 + positives); of the run of like
///     labels at the end log(1 + positives since the last negative),
///     log(1 + negatives since the last positive), and as a share of 60 u, with 1 for all beyond,
///     the ages of the first positive after the last negative (0 if none) and of the last negative
///     (a state that begins and ends shows in how long its run lasts, and a logarithm tells the
///     day when it ends not well from the one before);
///     log(1 + number of them);
///     with `base_outputs`, per channel: classification only, the largest and the mean base output
///       of the positives, that of the last positive and the smallest of those since the last
///       negative (the prior's log-odds if none); and the
///       smoothed mean of label minus base: (S - E) / (n + a), E the sum of what the base expected
///       (sigmoid or softmax of its outputs; in a regression the outputs themselves);
///   log(1 + 24 age / u) of the last event.
/// An age is at most 365 u, which also stands for "never". Events of equal time are remembered in
/// the order in which they were observed. Positive is a label >= 0.5.
///
/// Untimed, the features are log(1 + events), log(1 + labels) and per channel the rate.
///
/// Memory per entity is bounded: events that no finite window and not the last `memory` known
/// labels can reach any more are folded into totals. Features are therefore exact for every t at
/// or after the latest event observed of that entity, whatever the order in which events were
/// observed; for an earlier t the totals may hold events later than t. Of an entity are kept, with
/// C channels and H half-lives: about 200 bytes, 8 (1 + H) per event and
/// 8 (1 + H) (1 + C) + 4 C (12 C with base outputs) per label; at most twice as many events and
/// labels as can be reached, or 32; and room to grow, at most half as much again. The whole of it
/// is one block of memory.
///
/// The number of entities is bounded by `max_entities`: when there are more, the entity whose
/// latest event is oldest is forgotten (of several the smallest key; untimed: the one observed
/// longest ago). An entity that returns is as if it had never been seen.
class EntityMemory {
 public:
  /// prior: population mean of each label channel: one for kBinary (y) and kRegression
  /// (standardised y), one per class for kMulticlass. Throws InvalidArgument.
  EntityMemory(EntityOptions options, std::vector<double> prior, Task task = Task::kBinary);

  const EntityOptions& options() const { return options_; }
  Index n_channels() const { return channels_; }
  Task task() const { return task_; }
  Index n_features() const { return n_features_; }
  /// In words, e.g. "events in 7 days", "label rate in 7 days", "days since last positive".
  std::vector<std::string> feature_names() const;

  /// out: [n_features], as of `time` (ignored when untimed). An entity never seen, or kNoEntity,
  /// has the features of an entity without events. Safe to call from several threads as long as
  /// none observes.
  void features(EntityKey key, double time, float* out) const;

  /// What all labels of the entity that are known at `time` say, per channel: smoothed log-odds
  /// against the prior, log((S + a p) / (n - S + a (1 - p))) - log(p / (1 - p)), so that those of
  /// several entities add up (naive Bayes); in a regression the rate. out: [channels]. Returns the
  /// number of those labels.
  double evidence(EntityKey key, double time, double* out) const;

  /// The remembered labels as rows for a learned aggregation, newest last: at most `memory`.
  /// Columns: label per channel, log(1 + time since it is known / u), base output per channel.
  /// Appends to `rows`; returns how many.
  Index recent(EntityKey key, double time, std::vector<float>& rows) const;
  Index n_recent_columns() const { return channels_ * (options_.base_outputs ? 2 : 1) + 1; }

  /// labels: [channels]; not labelled if any is NaN or the pointer is null. base: [channels], read
  /// with `base_outputs` of labelled events only. kNoEntity is ignored.
  /// Throws InvalidArgument for a non-finite time (if timed), label or base output, or a class
  /// label outside [0, 1].
  void observe(EntityKey key, double time, const float* labels, const float* base = nullptr);

  /// The label of an event that was observed at `time` without one: from now on features are what
  /// they would be had it come with the event. (Of labels of equal time the order is that in which
  /// they came; and once events were folded into totals, sums of fractional labels may differ in
  /// their last bit.) labels, base: as for `observe`, but needed.
  /// known_from: the moment from which it is known; unless given, label_delay after the event. The
  /// label is then kept as that of an event label_delay before.
  /// False, without effect, where the entity has no such event (any more): it never was, or was
  /// forgotten with the entity. Of an event old enough to be folded this cannot be told; the label
  /// is then taken. Throws InvalidArgument as `observe`.
  bool label(EntityKey key, double time, const float* labels, const float* base = nullptr,
             std::optional<double> known_from = {});

  /// No effect but on caches, to be called some time before the entity is asked for: first of where
  /// it is found, then, for which that is read, of itself.
  void prefetch_index(EntityKey key) const { index_.prefetch_slot(key); }
  void prefetch_entity(EntityKey key) const { index_.prefetch_record(key); }
  /// The first of the two for threads that do not hold the memory: `observe` may move the place.
  TablePlace index_place() const { return index_.place(); }
  static void prefetch_index(const TableHint& hint, EntityKey key) {
    EntityIndex::prefetch_slot(hint, key);
  }

  /// The features of each row as they would have been, then all rows observed: rows of equal time
  /// never see each other. Any order of rows; same order of results.
  /// keys, times: [n]; labels: [n, channels]; base: [n, channels] with `base_outputs`, else empty;
  /// result: [n, n_features].
  /// Throws InvalidArgument, with nothing observed, where a row is so much earlier than what its
  /// entity has seen before that exact features are gone.
  Matrix<float> replay(std::span<const EntityKey> keys, std::span<const double> times,
                       MatrixView<float> labels, MatrixView<float> base = {}, int num_threads = 1) {
    return replay(keys, times, labels, base, num_threads, nullptr);
  }
  /// As `replay`; besides what `evidence` and `recent` would have given.
  struct Extras {
    bool with_recent = false;
    Matrix<double> evidence;     ///< [n, channels + 1]: evidence, then the number of labels
    std::vector<Index> offsets;  ///< [n + 1], with_recent: rows of `recent` by row
    Matrix<float> recent;        ///< [offsets[n], n_recent_columns]
  };
  Matrix<float> replay(std::span<const EntityKey> keys, std::span<const double> times,
                       MatrixView<float> labels, MatrixView<float> base, int num_threads,
                       Extras* extras);

  /// Untimed: the features of each row from all others of its entity; then all are observed.
  /// keys: [n]; labels: [n, channels]; result: [n, n_features].
  /// extras: `evidence` as of the same labels; nothing is recent.
  Matrix<float> leave_one_out(std::span<const EntityKey> keys, MatrixView<float> labels,
                              int num_threads = 1, Extras* extras = nullptr);

  bool knows(EntityKey key) const { return key != kNoEntity && index_.contains(key); }
  /// Entities seen.
  Index size() const { return static_cast<Index>(index_.size()); }
  /// Of all observed events; minus infinity before the first and when untimed.
  double latest_time() const { return latest_time_; }
  /// Events and labels kept one by one, not in totals: what the memory costs.
  Index retained() const;

  /// A memory of the same options that knows nothing.
  EntityMemory blank() const { return EntityMemory(options_, prior_, task_); }

  /// The entities spread over memories of the same options, that of a key in part(key). With
  /// max_entities, each is bound to its even share, rounded up.
  template <class Part>
  std::vector<EntityMemory> split(std::size_t parts, Part part) const {
    std::vector<EntityMemory> out(parts, empty_copy(parts));
    index_.for_each([&](const Entity& entity) { out[part(entity.key)].take(entity); });
    for (EntityMemory& memory : out) memory.forget_excess();
    return out;
  }

  /// Adds tensors and metadata whose names begin with `prefix`. Features after `load` are
  /// bit-identical. `load` throws FileError where something is missing or inconsistent.
  void save(io::TensorFile& file, const std::string& prefix) const;
  static EntityMemory load(const io::TensorFile& file, const std::string& prefix);
  /// As `save`, of the entities of all parts of one memory that was `split`, bounded as that was.
  void save_parts(std::span<const EntityMemory* const> parts, std::int64_t max_entities,
                  io::TensorFile& file, const std::string& prefix) const;

 private:
  using Entity = EntityRecord;

  // entity_features.cpp
  std::ptrdiff_t known_labels(const Entity& entity, double time) const;
  double rate(Index channel, double sum, double count) const;
  void write(const Entity& entity, double time, float* out) const;
  void write_untimed(double events, double labels, const double* sums, float* out) const;
  float* write_decayed(const Entity& entity, double time, std::ptrdiff_t seen, std::ptrdiff_t known,
                       float* out) const;
  float* write_base(const Entity& entity, std::ptrdiff_t oldest, std::ptrdiff_t known,
                    float* out) const;
  void write_evidence(const double* sums, double count, double* out) const;
  double evidence(const Entity& entity, double time, double* out) const;
  Index recent(const Entity& entity, double time, std::vector<float>& rows) const;

  const Entity& find(EntityKey key) const;
  bool has_event(const Entity& entity, double time) const;
  EntityMemory empty_copy(std::size_t parts) const;
  void take(const Entity& entity);
  Entity& find_or_add(EntityKey key);
  /// Adds one event of an entity that may be new.
  void observe_row(EntityKey key, double time, const float* labels, const float* base);
  void forget_excess();
  /// Returns the entity, which may have moved.
  Entity& add(Entity& entity, double time, const float* labels, const float* base);
  void add_event(Entity& entity, double time) const;
  void add_label(Entity& entity, double time, const float* labels, const float* base,
                 double latest) const;
  void expect_beyond(const float* labels, const float* base, float* beyond) const;
  DecayedSums<double> decayed_events(Entity& entity) const;
  DecayedSums<double> decayed_labels(Entity& entity) const;
  DecayedSums<const double> decayed_events(const Entity& entity) const;
  DecayedSums<const double> decayed_labels(const Entity& entity) const;
  void update_decayed_events(Entity& entity, std::size_t first) const;
  void update_decayed_labels(Entity& entity, std::size_t first) const;
  void fold_excess(Entity& entity) const;
  void check_time(double time) const;
  void check_labels(const float* labels, Index row) const;
  void check_base(const float* labels, const float* base, Index row) const;

  // entity_replay.cpp
  struct Batch;
  struct Answers;
  void check_batch(const Batch& batch) const;
  void answer(const Entity& entity, double time, Index row, Answers& answers,
              std::vector<float>& recent) const;
  void replay_by_entity(const Batch& batch, Answers& answers, int num_threads);
  void replay_by_time(const Batch& batch, Answers& answers);
  bool labelled(const float* labels) const;
  void load_decayed(const io::TensorFile& file, const std::string& prefix,
                    std::span<Entity* const> entities) const;

  EntityOptions options_;
  std::vector<double> prior_;
  std::vector<double> prior_log_odds_;
  Task task_;
  Index channels_;
  double unit_;                ///< seconds of the smallest age told apart
  double longest_window_ = 0;  ///< the longest finite one
  std::vector<int> last_;      ///< sizes of the newest parts of the label memory
  EntityIndex index_;
  /// If their number is bounded: a heap with (latest, key) of every entity, the smallest first, as
  /// of when it was put there. `latest` may have grown since; whoever comes to the top is put back
  /// at his true place before he is forgotten.
  std::vector<std::pair<double, EntityKey>> by_age_;
  Index n_features_ = 0;
  double latest_time_;
  double observations_ = 0;  ///< untimed: so far
};

}  // namespace ecseq::relation
