#include "ecseq/relation/entity_index.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <new>
#include <span>
#include <stdexcept>
#include <utility>

#include "ecseq/core/close_gap.hpp"

namespace ecseq::relation {
namespace {

constexpr std::size_t kFewestSlots = 16;

}  // namespace

EntityIndex::EntityIndex(EntityShape shape)
    : shape_(shape), cells_(std::make_unique<EntityCells>()) {
  resize(kFewestSlots);
  nobody_ = create(0, 0);
}

EntityIndex::EntityIndex(const EntityIndex& other)
    : shape_(other.shape_), cells_(std::make_unique<EntityCells>()) {
  resize(other.slot_count_);
  const auto copy_of = [&](EntityCell cell) {
    const EntityRecord& from = *record(cell);
    const EntityCell copy = create(from.event_capacity, from.label_capacity);
    from.copy_to(*record(copy));
    return copy;
  };
  for (std::size_t i = 0; i < slot_count_; ++i) {
    const Slot& from = other.slots()[i];
    if (from.cell != 0) slots()[i] = {from.key, copy_of(from.cell)};
  }
  size_ = other.size_;
  nobody_ = copy_of(other.nobody_);
}

void EntityIndex::swap(EntityIndex& other) noexcept {
  std::swap(shape_, other.shape_);
  std::swap(cells_, other.cells_);
  std::swap(slots_, other.slots_);
  std::swap(slot_count_, other.slot_count_);
  std::swap(shift_, other.shift_);
  std::swap(size_, other.size_);
  std::swap(nobody_, other.nobody_);
}

void EntityIndex::resize(std::size_t slot_count) {
  const Pages old = std::exchange(slots_, Pages(slot_count * sizeof(Slot)));
  const Slot* const from = reinterpret_cast<const Slot*>(old.data());
  const std::size_t old_count = std::exchange(slot_count_, slot_count);
  shift_ = 64 - std::countr_zero(slot_count);
  for (std::size_t i = 0; i < old_count; ++i) {
    if (from[i].cell != 0) slot(from[i].key) = from[i];
  }
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
  Slot& of = slot(from.key);
  cells_->give_back(of.cell);
  of.cell = cell;
  return *record(cell);
}

EntityRecord& EntityIndex::find_or_add(EntityKey key, std::size_t events, std::size_t labels) {
  if (EntityRecord* const known = find(key)) return *known;
  if (4 * (size_ + 1) > 3 * slot_count_) resize(2 * slot_count_);
  const EntityCell cell = create(events, labels);
  record(cell)->key = key;
  slot(key) = {key, cell};
  ++size_;
  return *record(cell);
}

void EntityIndex::erase(EntityKey key) {
  Slot& of = slot(key);
  if (of.cell == 0) return;
  cells_->give_back(of.cell);
  --size_;
  close_gap(
      std::span(slots(), slot_count_), static_cast<std::size_t>(&of - slots()),
      [](const Slot& each) { return each.cell == 0; },
      [this](const Slot& each) { return home(each.key); });
}

}  // namespace ecseq::relation
