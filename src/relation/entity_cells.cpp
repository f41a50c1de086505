#include "ecseq/relation/entity_cells.hpp"

#include <algorithm>
#include <utility>

namespace ecseq::relation {
namespace {

/// The slabs of a small index grow with it.
constexpr std::size_t kFirstSlab = kHugePage / 32;

EntityCell& next_of(EntityCell cell) { return *reinterpret_cast<EntityCell*>(address(cell)); }

}  // namespace

EntityCell EntityCells::take(std::size_t bytes) {
  std::size_t kind = 0;
  while (cell_bytes(kind) < bytes) ++kind;
  const std::lock_guard lock(mutex_);
  if (free_[kind] != 0) return std::exchange(free_[kind], next_of(free_[kind]));
  if (slabs_.empty() || used_ + cell_bytes(kind) > slabs_.back().size()) {
    const std::size_t larger =
        slabs_.empty() ? kFirstSlab : std::min(2 * slabs_.back().size(), kHugePage);
    slabs_.emplace_back(std::max(larger, cell_bytes(kind)));
    used_ = 0;
  }
  std::byte* const out = slabs_.back().data() + used_;
  used_ += cell_bytes(kind);
  return reinterpret_cast<EntityCell>(out) | kind;
}

void EntityCells::give_back(EntityCell cell) noexcept {
  const std::lock_guard lock(mutex_);
  EntityCell& first = free_[cell & (kCacheLine - 1)];
  next_of(cell) = first;
  first = cell;
}

}  // namespace ecseq::relation
