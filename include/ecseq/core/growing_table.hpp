#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "ecseq/core/close_gap.hpp"
#include "ecseq/core/fibonacci_hash.hpp"
#include "ecseq/core/paged_array.hpp"
#include "ecseq/core/table_hint.hpp"

namespace ecseq {

/// From 64-bit keys to values: open addressing with linear probing, at most five eighths full, a
/// key and its value side by side.
///
/// Nobody ever waits for the whole of it: a table that is full goes over to one of twice the size a
/// few slots at every insertion, and until it has, a key is looked for in both.
///
/// Value: an unsigned integer, of which 0 and the largest are not values. `replace` and `find` may
/// run in several threads as long as each key is one thread's, and nothing else runs.
template <class Value>
class GrowingTable {
 public:
  /// pages: of the larger tables to come; small ones are cleared as they are reached.
  explicit GrowingTable(PageSize pages) : pages_(pages) {}

  std::size_t size() const { return size_; }

  /// 0 if it is not there.
  Value find(std::uint64_t key) const {
    const Value value = get(slots_[slot_of(slots_, key)]);
    if (value != 0 || old_.empty()) return value;
    const Value before = get(old_[slot_of(old_, key)]);
    return before == kGone ? 0 : before;
  }
  /// Makes sure that one more fits. Throws std::bad_alloc, with nothing changed.
  void reserve_one() {
    if (8 * (size_ + 1) <= 5 * slots_.size()) return;
    old_ = std::exchange(slots_, Slots(2 * slots_.size(), pages_));
    moved_ = 0;
  }
  /// After `reserve_one`; the key must not be there.
  void insert(std::uint64_t key, Value value) noexcept {
    move_some();
    slots_[slot_of(slots_, key)] = {key, value};
    ++size_;
  }
  /// The key must be there.
  void replace(std::uint64_t key, Value value) noexcept {
    Slot& slot = slots_[slot_of(slots_, key)];
    set(get(slot) != 0 ? slot : old_[slot_of(old_, key)], value);
  }
  /// The key must be there.
  void erase(std::uint64_t key) noexcept {
    const std::size_t at = slot_of(slots_, key);
    if (slots_[at].value != 0) {
      close_gap(
          std::span<Slot>(slots_), at, [](const Slot& slot) { return slot.value == 0; },
          [this](const Slot& slot) { return home(slots_, slot.key); });
    } else {
      old_[slot_of(old_, key)].value = kGone;
    }
    --size_;
  }

  /// use(key, value), in no order that means anything. Not in that of the slots, which is that of
  /// the hashes: in it, they would crowd the beginning of a smaller table they are put into, and
  /// each would have to pass all before it.
  template <class Use>
  void for_each(Use use) const {
    for (const Slots* slots : {&slots_, &old_}) {
      const std::size_t step = home(*slots, 1) | 1;  // comes by all: their number is a power of two
      for (std::size_t i = 0; i < slots->size(); ++i) {
        const Slot& slot = (*slots)[i * step & (slots->size() - 1)];
        if (slot.value != 0 && slot.value != kGone) use(slot.key, slot.value);
      }
    }
  }

  /// For `prefetch`: it moves where the table grows.
  TablePlace place() const { return {slots_.data(), shift(slots_)}; }
  /// No effect but on caches.
  void prefetch(std::uint64_t key) const { fetch_line(slots_.data() + home(slots_, key)); }
  static void prefetch(const TableHint& hint, std::uint64_t key) {
    hint.fetch_home<sizeof(Slot)>(fibonacci_hash(key));
  }

 private:
  struct Slot {
    std::uint64_t key;
    Value value;  ///< 0: free
  };
  using Slots = PagedArray<Slot>;  ///< as many as a power of two

  static constexpr std::size_t kFewest = 16;
  /// In the table that is left: of a key that has moved or was erased, so that the search for
  /// others goes on beyond it.
  static constexpr Value kGone = ~Value{0};
  /// Slots of the table that is left, for every insertion. It has n, and the next growth begins
  /// after 5n/8 insertions at the soonest: with 2 or more it is left in time.
  static constexpr std::size_t kMoves = 8;

  static int shift(const Slots& slots) { return 64 - std::countr_zero(slots.size()); }
  static std::size_t home(const Slots& slots, std::uint64_t key) {
    return fibonacci_hash(key) >> shift(slots);
  }
  // Values of other keys are read on the way while other threads may be replacing them.
  static Value get(const Slot& slot) {
    return std::atomic_ref(const_cast<Value&>(slot.value)).load(std::memory_order_relaxed);
  }
  static void set(Slot& slot, Value value) {
    std::atomic_ref(slot.value).store(value, std::memory_order_relaxed);
  }
  /// The slot of a key, or the free one where it would go.
  static std::size_t slot_of(const Slots& slots, std::uint64_t key) {
    std::size_t at = home(slots, key);
    while (get(slots[at]) != 0 && slots[at].key != key) at = (at + 1) & (slots.size() - 1);
    return at;
  }

  // The home of a key is given by the highest bits of its hash: both tables are gone through in
  // order.
  void move_some() noexcept {
    if (old_.empty()) return;
    const std::size_t end = std::min(moved_ + kMoves, old_.size());
    for (; moved_ < end; ++moved_) {
      Slot& slot = old_[moved_];
      if (slot.value == 0 || slot.value == kGone) continue;
      slots_[slot_of(slots_, slot.key)] = slot;
      slot.value = kGone;
    }
    if (moved_ == old_.size()) old_ = {};
  }

  PageSize pages_;
  Slots slots_{kFewest};
  Slots old_;  ///< what it was before it grew, while something is left there; else empty
  std::size_t moved_ = 0;  ///< slots of old_ from which everything has gone
  std::size_t size_ = 0;
};

}  // namespace ecseq
