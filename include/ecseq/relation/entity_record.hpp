#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "ecseq/core/matrix.hpp"
#include "ecseq/relation/entity_key.hpp"

namespace ecseq::relation {

/// What the records of one EntityMemory have in common.
struct EntityShape {
  std::uint32_t channels = 1;
  std::uint32_t half_lives = 0;
  bool base = false;  ///< labels carry the base's outputs
};

/// One entity of an EntityMemory: these numbers and, right behind them in the same cell of memory,
/// the arrays of what is not folded, sorted by time. All of an entity is thus fetched at once.
struct EntityRecord {
  EntityKey key = kNoEntity;
  Index folded_events = 0;
  Index folded_labels = 0;
  /// Features at earlier times are not exact any more.
  double exact_from = -std::numeric_limits<double>::infinity();
  /// Time of the latest event; untimed, the number of the latest observation.
  double latest = -std::numeric_limits<double>::infinity();
  std::uint64_t fold_at = 32;  ///< number of events or labels that triggers a fold
  std::uint32_t events = 0;
  std::uint32_t labels = 0;
  std::uint32_t event_capacity = 0;
  std::uint32_t label_capacity = 0;
  EntityShape shape;
  /// Of DecayedSums: one column for events; for labels their number, then the sum of each channel.
  double events_until = -std::numeric_limits<double>::infinity();
  double labels_until = -std::numeric_limits<double>::infinity();

  std::span<double> event_times() { return {doubles(), events}; }
  std::span<double> label_times() { return {doubles() + label_times_at(), labels}; }
  /// Totals before each label. [labels + 1, channels]
  double* sums() { return doubles() + sums_at(); }
  double* decayed_events() { return doubles() + decayed_events_at(); }
  double* decayed_labels() { return doubles() + decayed_labels_at(); }
  /// [labels, channels]
  float* label_values() { return reinterpret_cast<float*>(doubles() + floats_at()); }
  /// [labels, channels] with `shape.base`: the base's outputs
  float* base() { return label_values() + std::size_t{label_capacity} * shape.channels; }
  /// The same: label minus what the base expected
  float* beyond() { return label_values() + std::size_t{2} * label_capacity * shape.channels; }

  std::span<const double> event_times() const { return self().event_times(); }
  std::span<const double> label_times() const { return self().label_times(); }
  const double* sums() const { return self().sums(); }
  const double* decayed_events() const { return self().decayed_events(); }
  const double* decayed_labels() const { return self().decayed_labels(); }
  const float* label_values() const { return self().label_values(); }
  const float* base() const { return self().base(); }
  const float* beyond() const { return self().beyond(); }

  /// Behind the arrays, so that a vector may be loaded from any place in them.
  static constexpr std::size_t kSpareBytes = 56;
  /// Memory of a record with room for so many events and labels, its arrays included.
  static std::size_t bytes(EntityShape shape, std::size_t events, std::size_t labels);

  /// Make room at a position, of which only the time is filled in. There must be capacity.
  void insert_event(std::size_t at, double time);
  void insert_label(std::size_t at, double time);
  /// Takes the first events and labels out of every array.
  void erase_front(std::size_t first_events, std::size_t first_labels);
  /// Copies everything but the capacities to a record of equal shape with room for it.
  void copy_to(EntityRecord& other) const;

 private:
  std::size_t label_times_at() const { return event_capacity; }
  std::size_t sums_at() const { return label_times_at() + label_capacity; }
  std::size_t decayed_events_at() const {
    return sums_at() + (std::size_t{label_capacity} + 1) * shape.channels;
  }
  std::size_t decayed_labels_at() const {
    return decayed_events_at() + (std::size_t{event_capacity} + 1) * shape.half_lives;
  }
  std::size_t floats_at() const {
    return decayed_labels_at() + (std::size_t{label_capacity} + 1) * decayed_columns();
  }
  std::size_t decayed_columns() const {
    return std::size_t{shape.half_lives} * (std::size_t{shape.channels} + 1);
  }
  double* doubles() { return reinterpret_cast<double*>(this + 1); }
  EntityRecord& self() const { return const_cast<EntityRecord&>(*this); }
};

}  // namespace ecseq::relation
