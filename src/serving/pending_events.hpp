#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <utility>

#include "ecseq/core/close_gap.hpp"
#include "ecseq/core/fibonacci_hash.hpp"
#include "ecseq/core/paged_array.hpp"
#include "ecseq/core/table_hint.hpp"
#include "inline_list.hpp"

namespace ecseq::serving {

/// An event that waits for its label.
struct PendingEvent {
  double time = 0;
  InlineList<std::uint64_t, 4> words;  ///< of each relation the number of its keys, then the keys
  InlineList<float, 2> base;           ///< in label units
};

/// Events by id, in the order in which they came; a full list forgets the oldest. One thread.
///
/// Events stand in a queue; a flat table (open addressing, at most half full) says which one has
/// an id. An event thus costs one cache miss to add, two to find.
class PendingEvents {
 public:
  explicit PendingEvents(std::size_t most) : most_(most), slots_(kFewestSlots) {}

  std::size_t size() const { return size_; }
  std::uint64_t forgotten() const { return forgotten_; }
  void set_forgotten(std::uint64_t count) { forgotten_ = count; }
  bool contains(std::uint64_t id) const { return slots_[find(id)].number != 0; }

  /// Of where an id is found, for `prefetch`: `add` and `take` may move it.
  TablePlace place() const { return {slots_.data(), shift()}; }
  /// No effect but on caches.
  static void prefetch(const TableHint& hint, std::uint64_t id) {
    hint.fetch_home<sizeof(Slot)>(fibonacci_hash(id));
  }

  /// False, without effect, where an event of that id waits already.
  bool add(std::uint64_t id, PendingEvent event) {
    if (contains(id)) return false;
    if (most_ == 0) {
      ++forgotten_;
      return true;
    }
    if (size_ == most_) {
      drop_gone();
      free_slot(find(queue_.front().id));
      queue_.pop_front();
      ++first_number_;
      --size_;
      ++forgotten_;
    }
    queue_.push_back({id, true, std::move(event)});
    if (2 * (++size_) > slots_.size()) {
      renumber(2 * slots_.size());
    } else {
      slots_[find(id)] = {id, first_number_ + queue_.size() - 1};
    }
    return true;
  }

  std::optional<PendingEvent> take(std::uint64_t id) {
    const std::size_t at = find(id);
    if (slots_[at].number == 0) return {};
    Place& place = queue_[slots_[at].number - first_number_];
    place.waits = false;
    PendingEvent out = std::move(place.event);
    free_slot(at);
    --size_;
    drop_gone();
    // One old event must not keep the places of all that came after it and are gone.
    if (queue_.size() > 2 * size_ + 64) {
      std::erase_if(queue_, [](const Place& each) { return !each.waits; });
      renumber(slots_.size());
    }
    return out;
  }

  /// Oldest first. use(id, event)
  template <class Use>
  void for_each(Use use) const {
    for (const Place& place : queue_) {
      if (place.waits) use(place.id, place.event);
    }
  }

 private:
  struct Place {
    std::uint64_t id;
    bool waits;
    PendingEvent event;
  };
  struct Slot {
    std::uint64_t id = 0;
    std::uint64_t number = 0;  ///< of the event, counted from the first ever; 0: the slot is free
  };

  static constexpr std::size_t kFewestSlots = 16;

  int shift() const { return 64 - std::countr_zero(slots_.size()); }
  std::size_t home(std::uint64_t id) const { return fibonacci_hash(id) >> shift(); }
  /// The slot of an id, or the free one where it would go.
  std::size_t find(std::uint64_t id) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = home(id);
    while (slots_[at].number != 0 && slots_[at].id != id) at = (at + 1) & mask;
    return at;
  }
  void free_slot(std::size_t at) {
    close_gap(
        std::span<Slot>(slots_), at, [](const Slot& slot) { return slot.number == 0; },
        [this](const Slot& slot) { return home(slot.id); });
  }
  void drop_gone() {
    while (!queue_.empty() && !queue_.front().waits) {
      queue_.pop_front();
      ++first_number_;
    }
  }
  void renumber(std::size_t slot_count) {
    slots_ = PagedArray<Slot>(slot_count);
    for (std::size_t i = 0; i < queue_.size(); ++i) {
      if (queue_[i].waits) slots_[find(queue_[i].id)] = {queue_[i].id, first_number_ + i};
    }
  }

  std::size_t most_;
  std::size_t size_ = 0;
  std::deque<Place> queue_;  ///< also of events that are gone
  std::uint64_t first_number_ = 1;
  PagedArray<Slot> slots_;
  std::uint64_t forgotten_ = 0;
};

}  // namespace ecseq::serving
