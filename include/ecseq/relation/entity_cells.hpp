#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "ecseq/core/cache_line.hpp"
#include "ecseq/core/pages.hpp"

namespace ecseq::relation {

/// A piece of memory that begins at a cache line, which leaves the lowest six bits of its address
/// for its size: whoever holds a cell can fetch the whole of it at once.
using EntityCell = std::uintptr_t;  ///< 0 = none

inline std::byte* address(EntityCell cell) {
  return reinterpret_cast<std::byte*>(cell & ~static_cast<EntityCell>(kCacheLine - 1));
}

/// Cells have 128, 192, 256, 384, 512, 768, ... bytes.
constexpr std::size_t cell_bytes(std::size_t kind) {
  return (kind % 2 == 0 ? 2 * kCacheLine : 3 * kCacheLine) << (kind / 2);
}
inline std::size_t size_of(EntityCell cell) { return cell_bytes(cell & (kCacheLine - 1)); }

/// The cells of one EntityIndex, in slabs of huge pages: among millions of entities a random one
/// would else cost a miss of the processor's page tables before that of its record. A cell that is
/// given back serves the next one of its size. Safe from several threads.
class EntityCells {
 public:
  /// Of at least `bytes`, at most half as many again (or 128), uninitialised. Throws
  /// std::bad_alloc.
  EntityCell take(std::size_t bytes);
  /// cell: not 0.
  void give_back(EntityCell cell) noexcept;

 private:
  static constexpr std::size_t kKinds = kCacheLine;

  std::mutex mutex_;
  std::vector<Pages> slabs_;
  std::size_t used_ = 0;  ///< bytes of the last slab
  /// The first given back of each kind; each holds the next.
  std::array<EntityCell, kKinds> free_{};
};

}  // namespace ecseq::relation
