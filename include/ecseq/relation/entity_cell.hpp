#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "ecseq/core/cache_line.hpp"

namespace ecseq::relation {

/// A piece of memory that begins at a cache line, which leaves the lowest six bits of its address
/// for its size: whoever holds a cell can fetch the whole of it at once. Owned by hand.
using EntityCell = std::uintptr_t;  ///< 0 = none

inline std::byte* address(EntityCell cell) {
  return reinterpret_cast<std::byte*>(cell & ~static_cast<EntityCell>(kCacheLine - 1));
}

/// Cells have 128, 192, 256, 384, 512, 768, ... bytes.
constexpr std::size_t cell_bytes(std::size_t kind) {
  return (kind % 2 == 0 ? 2 * kCacheLine : 3 * kCacheLine) << (kind / 2);
}
inline std::size_t size_of(EntityCell cell) { return cell_bytes(cell & (kCacheLine - 1)); }

/// At least `bytes`, at most half as many again (or 128). Throws std::bad_alloc.
EntityCell allocate_cell(std::size_t bytes);
inline void release_cell(EntityCell cell) { std::free(address(cell)); }

}  // namespace ecseq::relation
