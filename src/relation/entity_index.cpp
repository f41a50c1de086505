#include "ecseq/relation/entity_index.hpp"

#include <algorithm>
#include <limits>
#include <new>
#include <stdexcept>

namespace ecseq::relation {

EntityIndex::EntityIndex(EntityShape shape)
    : shape_(shape), cells_(std::make_unique<EntityCells>()), nobody_(create(0, 0)) {}

EntityIndex::EntityIndex(const EntityIndex& other)
    : shape_(other.shape_), cells_(std::make_unique<EntityCells>()), nobody_(copy(other.nobody_)) {
  other.cell_of_.for_each([&](EntityKey key, EntityCell cell) {
    cell_of_.reserve_one();
    cell_of_.insert(key, copy(cell));
  });
}

EntityCell EntityIndex::copy(EntityCell cell) {
  const EntityRecord& from = *record(cell);
  const EntityCell out = create(from.event_capacity, from.label_capacity);
  from.copy_to(*record(out));
  return out;
}

EntityCell EntityIndex::create(std::size_t events, std::size_t labels) {
  if (std::max(events, labels) > std::numeric_limits<std::uint32_t>::max()) {
    throw std::length_error("more than 2^32 events of one entity");
  }
  const EntityCell cell = cells_->take(EntityRecord::bytes(shape_, events, labels));
  // Of the part of the cell that is left over, events and labels get as many places each.
  const std::size_t one = EntityRecord::bytes(shape_, events + 1, labels + 1) -
                          EntityRecord::bytes(shape_, events, labels);
  const std::size_t left = size_of(cell) - EntityRecord::bytes(shape_, events, labels);
  const std::size_t more = events + labels == 0 ? 0 : left / one;
  EntityRecord* const out = new (address(cell)) EntityRecord;
  out->shape = shape_;
  out->event_capacity = static_cast<std::uint32_t>(events + more);
  out->label_capacity = static_cast<std::uint32_t>(labels + more);
  std::fill_n(out->sums(), shape_.channels, 0.0);
  std::fill_n(out->decayed_events(), shape_.half_lives, 0.0);
  std::fill_n(out->decayed_labels(), std::size_t{shape_.half_lives} * (shape_.channels + 1), 0.0);
  return cell;
}

EntityRecord& EntityIndex::grow(EntityRecord& from, bool event, bool label) {
  const EntityCell cell =
      create(from.events + std::size_t{event}, from.labels + std::size_t{label});
  from.copy_to(*record(cell));
  const EntityCell before = cell_of_.find(from.key);
  cell_of_.replace(from.key, cell);
  cells_->give_back(before);
  return *record(cell);
}

EntityRecord& EntityIndex::find_or_add(EntityKey key, std::size_t events, std::size_t labels) {
  if (EntityRecord* const known = find(key)) return *known;
  cell_of_.reserve_one();
  const EntityCell cell = create(events, labels);
  record(cell)->key = key;
  cell_of_.insert(key, cell);
  return *record(cell);
}

void EntityIndex::erase(EntityKey key) {
  const EntityCell cell = cell_of_.find(key);
  if (cell == 0) return;
  cell_of_.erase(key);
  cells_->give_back(cell);
}

}  // namespace ecseq::relation
