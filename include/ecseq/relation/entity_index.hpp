#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "ecseq/core/cache_line.hpp"
#include "ecseq/core/fibonacci_hash.hpp"
#include "ecseq/core/pages.hpp"
#include "ecseq/core/table_hint.hpp"
#include "ecseq/relation/entity_cells.hpp"
#include "ecseq/relation/entity_record.hpp"

namespace ecseq::relation {

/// The records of many entities by key: open addressing with linear probing, a key and its cell
/// side by side, at most 3/4 full. A record is found with one miss for the slot and one for itself.
/// Slots double when they are full, which takes about 30 ns per entity at once. Copies are deep.
class EntityIndex {
 public:
  explicit EntityIndex(EntityShape shape);
  EntityIndex(const EntityIndex& other);
  /// What is moved from may only be destroyed or assigned to.
  EntityIndex(EntityIndex&& other) noexcept { swap(other); }
  EntityIndex& operator=(EntityIndex other) noexcept {
    swap(other);
    return *this;
  }
  ~EntityIndex() = default;
  void swap(EntityIndex& other) noexcept;

  std::size_t size() const { return size_; }
  /// Of an entity without events.
  const EntityRecord& nobody() const { return *record(nobody_); }

  /// Null where there is none. The whole record is on its way to the cache.
  EntityRecord* find(EntityKey key) const {
    const EntityCell cell = slot(key).cell;
    fetch(cell);
    return cell == 0 ? nullptr : record(cell);
  }
  bool contains(EntityKey key) const { return slot(key).cell != 0; }
  /// A record that is added has room for `events` and `labels`. key: not kNoEntity.
  EntityRecord& find_or_add(EntityKey key, std::size_t events = 0, std::size_t labels = 0);
  void erase(EntityKey key);

  /// The record with room for one event and one label more: this one, or a copy that has taken its
  /// place. Safe from several threads, each with records of its own, while none is added.
  EntityRecord& with_room(EntityRecord& record, bool event, bool label) {
    if (record.events + event <= record.event_capacity &&
        record.labels + label <= record.label_capacity) {
      return record;
    }
    return grow(record, event, label);
  }

  template <class Use>
  void for_each(Use use) const {
    for (std::size_t i = 0; i < slot_count_; ++i) {
      if (slots()[i].cell != 0) use(*record(slots()[i].cell));
    }
  }

  /// No effect but on caches: of the slot; of the record, for which the slot is read.
  void prefetch_slot(EntityKey key) const { fetch_line(slots() + home(key)); }
  void prefetch_record(EntityKey key) const { fetch(slot(key).cell); }
  /// The same of the slot for those who do not hold the index: `place` moves only where a record is
  /// added.
  TablePlace place() const { return {slots_.data(), shift_}; }
  static void prefetch_slot(const TableHint& of, EntityKey key) {
    of.fetch_home<sizeof(Slot)>(fibonacci_hash(key));
  }

 private:
  struct Slot {
    EntityKey key = kNoEntity;
    EntityCell cell = 0;  ///< 0: the slot is free
  };

  static EntityRecord* record(EntityCell cell) {
    return reinterpret_cast<EntityRecord*>(address(cell));
  }
  static void fetch(EntityCell cell) {
    constexpr std::size_t kMost = 32 * kCacheLine;
    if (cell == 0) return;
    const std::byte* const begin = address(cell);
    const std::size_t bytes = std::min(size_of(cell), kMost);
    for (std::size_t at = 0; at < bytes; at += kCacheLine) fetch_line(begin + at);
  }
  Slot* slots() const { return reinterpret_cast<Slot*>(slots_.data()); }
  /// Where the search for a key begins: Fibonacci hashing (Knuth, TAOCP 3, 6.4), for keys that may
  /// be plain numbers.
  std::size_t home(EntityKey key) const { return fibonacci_hash(key) >> shift_; }
  /// The slot of a key, or the free one where it would go.
  Slot& slot(EntityKey key) const {
    std::size_t at = home(key);
    // Cells of other slots are not read: another thread may be writing them, see `with_room`.
    while (slots()[at].key != key && slots()[at].key != kNoEntity) {
      at = (at + 1) & (slot_count_ - 1);
    }
    return slots()[at];
  }
  void resize(std::size_t slot_count);
  EntityCell create(std::size_t events, std::size_t labels);
  EntityRecord& grow(EntityRecord& record, bool event, bool label);

  EntityShape shape_;
  std::unique_ptr<EntityCells> cells_;
  Pages slots_;  ///< of zeros, which are free slots
  std::size_t slot_count_ = 0;
  int shift_ = 0;
  std::size_t size_ = 0;
  EntityCell nobody_ = 0;
};

}  // namespace ecseq::relation
