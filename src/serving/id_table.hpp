#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "ecseq/core/close_gap.hpp"
#include "ecseq/core/fibonacci_hash.hpp"
#include "ecseq/core/paged_array.hpp"
#include "ecseq/core/table_hint.hpp"

namespace ecseq::serving {

/// From ids to places, 1 and up. Open addressing with linear probing, at most half full.
///
/// Nobody ever waits for the whole of it: a table that is half full goes over to one of twice the
/// size a few slots at every insertion, and until it has, an id is looked for in both. The new one
/// is in small pages, which the system clears one at a time as they are reached.
class IdTable {
 public:
  std::size_t size() const { return size_; }

  /// 0 if it is not there.
  std::uint32_t find(std::uint64_t id) const {
    const std::uint32_t place = slots_[slot_of(slots_, id)].place;
    if (place != 0 || old_.empty()) return place;
    const std::uint32_t before = old_[slot_of(old_, id)].place;
    return before == kGone ? 0 : before;
  }
  /// Makes sure that one more fits. Throws std::bad_alloc, with nothing changed.
  void reserve_one() {
    if (2 * (size_ + 1) <= slots_.size()) return;
    old_ = std::exchange(slots_, Slots(2 * slots_.size(), PageSize::kSmall));
    moved_ = 0;
  }
  /// After `reserve_one`; the id must not be there. place: not 0 nor 2^32 - 1.
  void insert(std::uint64_t id, std::uint32_t place) noexcept {
    move_some();
    slots_[slot_of(slots_, id)] = {id, place};
    ++size_;
  }
  /// It must be there.
  void erase(std::uint64_t id) noexcept {
    const std::size_t at = slot_of(slots_, id);
    if (slots_[at].place != 0) {
      close_gap(
          std::span<Slot>(slots_), at, [](const Slot& slot) { return slot.place == 0; },
          [this](const Slot& slot) { return home(slots_, slot.id); });
    } else {
      old_[slot_of(old_, id)].place = kGone;
    }
    --size_;
  }

  /// For `prefetch`: it moves where the table grows.
  TablePlace place() const { return {slots_.data(), shift(slots_)}; }
  /// No effect but on caches.
  static void prefetch(const TableHint& hint, std::uint64_t id) {
    hint.fetch_home<sizeof(Slot)>(fibonacci_hash(id));
  }

 private:
  struct Slot {
    std::uint64_t id;
    std::uint32_t place;  ///< 0: free
  };
  using Slots = PagedArray<Slot>;  ///< as many as a power of two

  static constexpr std::size_t kFewest = 256;  ///< one page
  /// In the table that is left: of an id that has moved or was erased, so that the search for
  /// others goes on beyond it.
  static constexpr std::uint32_t kGone = ~std::uint32_t{0};
  /// Slots of the table that is left, for every insertion. It has n, of which n/2 are in use, and
  /// the next growth begins at n in use: with 2 or more it is left in time.
  static constexpr std::size_t kMoves = 8;

  static int shift(const Slots& slots) { return 64 - std::countr_zero(slots.size()); }
  static std::size_t home(const Slots& slots, std::uint64_t id) {
    return fibonacci_hash(id) >> shift(slots);
  }
  /// The slot of an id, or the free one where it would go.
  static std::size_t slot_of(const Slots& slots, std::uint64_t id) {
    std::size_t at = home(slots, id);
    while (slots[at].place != 0 && slots[at].id != id) at = (at + 1) & (slots.size() - 1);
    return at;
  }

  // The home of an id is given by the highest bits of its hash: both tables are gone through in
  // order.
  void move_some() noexcept {
    if (old_.empty()) return;
    const std::size_t end = std::min(moved_ + kMoves, old_.size());
    for (; moved_ < end; ++moved_) {
      Slot& slot = old_[moved_];
      if (slot.place == 0 || slot.place == kGone) continue;
      slots_[slot_of(slots_, slot.id)] = slot;
      slot.place = kGone;
    }
    if (moved_ == old_.size()) old_ = {};
  }

  Slots slots_{kFewest};
  Slots old_;  ///< what it was before it grew, while something is left there; else empty
  std::size_t moved_ = 0;  ///< slots of old_ from which everything has gone
  std::size_t size_ = 0;
};

}  // namespace ecseq::serving
