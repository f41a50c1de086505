#include "ecseq/relation/entity_record.hpp"

#include <algorithm>

namespace ecseq::relation {

static_assert(sizeof(EntityRecord) % sizeof(double) == 0, "arrays of doubles follow the record");

std::size_t EntityRecord::bytes(EntityShape shape, std::size_t events, std::size_t labels) {
  EntityRecord record;
  record.shape = shape;
  record.event_capacity = static_cast<std::uint32_t>(events);
  record.label_capacity = static_cast<std::uint32_t>(labels);
  const std::size_t floats = (shape.base ? 3 : 1) * labels * shape.channels;
  return sizeof(EntityRecord) + record.floats_at() * sizeof(double) + floats * sizeof(float) +
         kSpareBytes;
}

void EntityRecord::insert_event(std::size_t at, double time) {
  double* const times = event_times().data();
  std::copy_backward(times + at, times + events, times + events + 1);
  times[at] = time;
  ++events;
}

void EntityRecord::insert_label(std::size_t at, double time) {
  const std::size_t n = labels, channels = shape.channels;
  double* const times = label_times().data();
  std::copy_backward(times + at, times + n, times + n + 1);
  times[at] = time;
  const auto open = [&](float* values) {
    std::copy_backward(values + at * channels, values + n * channels, values + (n + 1) * channels);
  };
  open(label_values());
  if (shape.base) {
    open(base());
    open(beyond());
  }
  ++labels;
}

void EntityRecord::erase_front(std::size_t first_events, std::size_t first_labels) {
  const auto shift = [](auto* values, std::size_t count, std::size_t first, std::size_t columns) {
    if (first > 0) std::copy(values + first * columns, values + count * columns, values);
  };
  const std::size_t columns = shape.channels;
  shift(event_times().data(), events, first_events, 1);
  shift(decayed_events(), events + std::size_t{1}, first_events, shape.half_lives);
  shift(label_times().data(), labels, first_labels, 1);
  shift(sums(), labels + std::size_t{1}, first_labels, columns);
  shift(decayed_labels(), labels + std::size_t{1}, first_labels, decayed_columns());
  shift(label_values(), labels, first_labels, columns);
  if (shape.base) {
    shift(base(), labels, first_labels, columns);
    shift(beyond(), labels, first_labels, columns);
  }
  events -= static_cast<std::uint32_t>(first_events);
  labels -= static_cast<std::uint32_t>(first_labels);
}

void EntityRecord::copy_to(EntityRecord& other) const {
  const std::uint32_t event_room = other.event_capacity, label_room = other.label_capacity;
  other = *this;
  other.event_capacity = event_room;
  other.label_capacity = label_room;
  const std::size_t columns = shape.channels;
  std::copy_n(event_times().data(), events, other.event_times().data());
  std::copy_n(decayed_events(), (events + std::size_t{1}) * shape.half_lives,
              other.decayed_events());
  std::copy_n(label_times().data(), labels, other.label_times().data());
  std::copy_n(sums(), (labels + std::size_t{1}) * columns, other.sums());
  std::copy_n(decayed_labels(), (labels + std::size_t{1}) * decayed_columns(),
              other.decayed_labels());
  std::copy_n(label_values(), labels * columns, other.label_values());
  if (shape.base) {
    std::copy_n(base(), labels * columns, other.base());
    std::copy_n(beyond(), labels * columns, other.beyond());
  }
}

}  // namespace ecseq::relation
