#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ecseq/core/cache_line.hpp"

namespace ecseq {

/// Where a hash table of 2^(64 - shift) slots lies, whose homes are the highest bits of a hash.
struct TablePlace {
  const void* slots;  ///< at a multiple of 64
  int shift;          ///< of a hash, which gives its home; below 64
};

/// The place of a table that others may be changing, as it was a moment ago: enough to fetch the
/// line where a search will begin, without waiting for whoever holds the table's lock. Where the
/// table has moved since, that line is of no use, but no harm either.
class TableHint {
 public:
  /// By whoever may change the table, when it may have moved.
  void show(TablePlace place) {
    const auto word =
        reinterpret_cast<std::uintptr_t>(place.slots) | static_cast<std::uintptr_t>(place.shift);
    if (word_.load(std::memory_order_relaxed) != word) {
      word_.store(word, std::memory_order_relaxed);
    }
  }
  /// By anyone, once there was a place.
  template <std::size_t slot_size>
  void fetch_home(std::uint64_t hash) const {
    const std::uintptr_t word = word_.load(std::memory_order_relaxed);
    constexpr std::uintptr_t kShift = kCacheLine - 1;
    const std::uint64_t home = hash >> (word & kShift);
    fetch_line(reinterpret_cast<const void*>((word & ~kShift) + home * slot_size));
  }

 private:
  std::atomic<std::uintptr_t> word_{0};
};

}  // namespace ecseq
