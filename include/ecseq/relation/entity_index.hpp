#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "ecseq/core/cache_line.hpp"
#include "ecseq/core/growing_table.hpp"
#include "ecseq/core/table_hint.hpp"
#include "ecseq/relation/entity_cells.hpp"
#include "ecseq/relation/entity_record.hpp"

namespace ecseq::relation {

/// The records of many entities by key. A record is found with one miss for the slot of its key and
/// one for itself. Copies are deep.
class EntityIndex {
 public:
  explicit EntityIndex(EntityShape shape);
  EntityIndex(const EntityIndex& other);
  /// What is moved from may only be destroyed or assigned to.
  EntityIndex(EntityIndex&& other) noexcept = default;
  EntityIndex& operator=(const EntityIndex& other) { return *this = EntityIndex(other); }
  EntityIndex& operator=(EntityIndex&& other) noexcept = default;
  ~EntityIndex() = default;

  std::size_t size() const { return cell_of_.size(); }
  /// Of an entity without events.
  const EntityRecord& nobody() const { return *record(nobody_); }

  /// Null where there is none. The whole record is on its way to the cache.
  EntityRecord* find(EntityKey key) const {
    const EntityCell cell = cell_of_.find(key);
    fetch(cell);
    return cell == 0 ? nullptr : record(cell);
  }
  bool contains(EntityKey key) const { return cell_of_.find(key) != 0; }
  /// A record that is added has room for `events` and `labels`.
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
    cell_of_.for_each([&](EntityKey, EntityCell cell) { use(*record(cell)); });
  }

  /// No effect but on caches: of the slot; of the record, for which the slot is read.
  void prefetch_slot(EntityKey key) const { cell_of_.prefetch(key); }
  void prefetch_record(EntityKey key) const { fetch(cell_of_.find(key)); }
  /// The same of the slot for those who do not hold the index: `place` moves only where a record is
  /// added.
  TablePlace place() const { return cell_of_.place(); }
  static void prefetch_slot(const TableHint& of, EntityKey key) { Table::prefetch(of, key); }

 private:
  using Table = GrowingTable<EntityCell>;

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
  EntityCell create(std::size_t events, std::size_t labels);
  EntityCell copy(EntityCell cell);
  EntityRecord& grow(EntityRecord& record, bool event, bool label);

  EntityShape shape_;
  std::unique_ptr<EntityCells> cells_;
  Table cell_of_{PageSize::kHuge};
  EntityCell nobody_ = 0;
};

}  // namespace ecseq::relation
