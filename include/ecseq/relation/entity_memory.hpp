#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/targets.hpp"
#include "ecseq/io/safetensors.hpp"
#include "ecseq/relation/entity_key.hpp"

namespace ecseq::relation {

struct EntityOptions {
  std::string by;               ///< name of the id column, e.g. "terminal_id"
  int memory = 24;              ///< label-known events remembered per entity
  std::vector<double> windows;  ///< seconds; infinity = all history
  double label_delay = 0;       ///< seconds between an event and the moment its label is known
  bool timed = true;            ///< false: events have no times, see `leave_one_out`
  double prior_strength = 2.0;  ///< labels that the prior weighs in every smoothed rate
};

/// Representatives by entity: what is known of each shared entity, kept causally in time.
///
/// At a query time t an event of the entity is seen iff its time is < t, and its label is known
/// iff moreover its time + label_delay <= t. With S and n the sum and number of some known labels,
/// a = prior_strength and p the channel's prior, their *rate* is how far the smoothed mean
/// (S + a p) / (n + a) lies above the prior,
///   (S - n p) / (n + a),
/// so that no evidence gives 0. (Log-odds instead cost a neural head accuracy where the prior is
/// small: one positive label more moves them far, ten more hardly.) Let u be one day, or the
/// smallest window where
/// that is shorter. The features at t, per channel where it says so:
///   for each window w:  log(1 + events in [t - w, t)),
///                       log(1 + known labels in [t - label_delay - w, t - label_delay]),
///                       per channel the rate of those labels;
///   of the last `memory` label-known events:
///     per channel the rate of the last 1, 3, 6 and all of them,
///     per channel the rate of those known for less than 1, 3, 7, 14 and 30 u;
///     classification only, per channel: log(1 + age / u) of the last positive, of the last
///     negative, of the oldest positive (0 if none), and log(1 + positives);
///     log(1 + number of them);
///   log(1 + 24 age / u) of the last event.
/// An age is at most 365 u, which also stands for "never". Events of equal time are remembered in
/// the order in which they were observed. Positive is a label >= 0.5.
///
/// Untimed, the features are log(1 + events), log(1 + labels) and per channel the rate.
///
/// Memory per entity is bounded: events that no finite window and not the last `memory` known
/// labels can reach any more are folded into totals. Features are therefore exact for every t at
/// or after the latest event observed of that entity, whatever the order in which events were
/// observed; for an earlier t the totals may hold events later than t.
class EntityMemory {
 public:
  /// prior: population mean of each label channel: one for kBinary (y) and kRegression
  /// (standardised y), one per class for kMulticlass. Throws InvalidArgument.
  EntityMemory(EntityOptions options, std::vector<double> prior, Task task = Task::kBinary);

  const EntityOptions& options() const { return options_; }
  Index n_channels() const { return channels_; }
  Index n_features() const { return n_features_; }
  /// In words, e.g. "events in 7 days", "label rate in 7 days", "days since last positive".
  std::vector<std::string> feature_names() const;

  /// out: [n_features], as of `time` (ignored when untimed). An entity never seen, or kNoEntity,
  /// has the features of an entity without events. Safe to call from several threads as long as
  /// none observes.
  void features(EntityKey key, double time, float* out) const;

  /// labels: [channels]; not labelled if any is NaN or the pointer is null. kNoEntity is ignored.
  /// Throws InvalidArgument for a non-finite time (if timed) or label, or a class label outside
  /// [0, 1].
  void observe(EntityKey key, double time, const float* labels);

  /// The features of each row as they would have been, then all rows observed: rows of equal time
  /// never see each other. Any order of rows; same order of results.
  /// keys, times: [n]; labels: [n, channels]; result: [n, n_features].
  /// Throws InvalidArgument, with nothing observed, where a row is so much earlier than what its
  /// entity has seen before that exact features are gone.
  Matrix<float> replay(std::span<const EntityKey> keys, std::span<const double> times,
                       MatrixView<float> labels, int num_threads = 1);

  /// Untimed: the features of each row from all others of its entity; then all are observed.
  /// keys: [n]; labels: [n, channels]; result: [n, n_features].
  Matrix<float> leave_one_out(std::span<const EntityKey> keys, MatrixView<float> labels,
                              int num_threads = 1);

  bool knows(EntityKey key) const { return index_.count(key) > 0; }
  /// Entities seen.
  Index size() const { return static_cast<Index>(entities_.size()); }
  /// Of all observed events; minus infinity before the first and when untimed.
  double latest_time() const { return latest_time_; }
  /// Events and labels kept one by one, not in totals: what the memory costs.
  Index retained() const;

  /// Adds tensors and metadata whose names begin with `prefix`. Features after `load` are
  /// bit-identical. `load` throws FileError where something is missing or inconsistent.
  void save(io::TensorFile& file, const std::string& prefix) const;
  static EntityMemory load(const io::TensorFile& file, const std::string& prefix);

 private:
  /// One entity. The arrays hold what is not folded, sorted by time.
  struct Entity {
    Index folded_events = 0;
    Index folded_labels = 0;
    /// Features at earlier times are not exact any more.
    double exact_from = -std::numeric_limits<double>::infinity();
    std::vector<double> times;        ///< [events]
    std::vector<double> label_times;  ///< [labels]
    std::vector<float> labels;        ///< [labels, channels]
    std::vector<double> sums;         ///< [labels + 1, channels]: totals before each label
    std::size_t fold_at = 32;         ///< size of `times` or `label_times` that triggers a fold
  };

  double rate(Index channel, double sum, double count) const;
  void write(const Entity& entity, double time, float* out) const;
  void write_untimed(double events, double labels, const double* sums, float* out) const;
  Entity& find_or_add(EntityKey key);
  void add(Entity& entity, double time, const float* labels) const;
  void add_label(Entity& entity, double time, const float* labels, double latest) const;
  void fold(Entity& entity) const;
  void check_labels(const float* labels, Index row) const;
  bool labelled(const float* labels) const;

  EntityOptions options_;
  std::vector<double> prior_;
  Task task_;
  Index channels_;
  double unit_;                ///< seconds of the smallest age told apart
  double longest_window_ = 0;  ///< the longest finite one
  std::vector<int> last_;      ///< sizes of the newest parts of the label memory
  Entity empty_;
  std::vector<Entity> entities_;
  std::unordered_map<EntityKey, std::size_t> index_;
  Index n_features_ = 0;
  double latest_time_;
};

}  // namespace ecseq::relation
