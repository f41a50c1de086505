#pragma once

#include <cstddef>
#include <span>

namespace ecseq {

/// Frees slot `gap` of a table with open addressing and linear probing: those that were pushed past
/// it move up, so that no search ends too early (Knuth, TAOCP 3, 6.4, algorithm R).
/// slots: as many as a power of two, one of them free at least; Slot{} is free. is_free(slot);
/// home(slot): the number of the slot where the search for it begins.
template <class Slot, class IsFree, class Home>
void close_gap(std::span<Slot> slots, std::size_t gap, IsFree is_free, Home home) {
  const std::size_t mask = slots.size() - 1;
  for (std::size_t at = (gap + 1) & mask; !is_free(slots[at]); at = (at + 1) & mask) {
    if (((at - home(slots[at])) & mask) >= ((at - gap) & mask)) {
      slots[gap] = slots[at];
      gap = at;
    }
  }
  slots[gap] = Slot{};
}

}  // namespace ecseq
