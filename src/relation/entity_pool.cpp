#include "ecseq/relation/entity_pool.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace ecseq::relation {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kSmallestChunk = std::size_t{16} << 10;
constexpr std::size_t kLargestChunk = std::size_t{32} << 20;

}  // namespace

LargeBytes allocate_large(std::size_t bytes) {
  const std::size_t alignment = bytes < kHugePage ? EntityPool::kLine : kHugePage;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  LargeBytes out(static_cast<std::byte*>(std::aligned_alloc(alignment, rounded)));
  if (out == nullptr) throw std::bad_alloc();
#ifdef __linux__
  // A request, not a need: where it is refused the pages are small.
  if (alignment == kHugePage) ::madvise(out.get(), rounded, MADV_HUGEPAGE);
#endif
  return out;
}

EntityPool::Cell EntityPool::allocate(std::size_t bytes) {
  std::size_t kind = 0;
  while (bytes_of_kind(kind) < bytes) ++kind;
  const std::size_t size = bytes_of_kind(kind);
  const std::lock_guard lock(mutex_);
  Cell& released = released_[kind];
  if (released != 0) {
    const Cell cell = released;
    std::memcpy(&released, address(cell), sizeof(Cell));
    return cell;
  }
  if (left_ < size) {
    const std::size_t chunk = std::max(size, std::clamp(total_ / 4, kSmallestChunk, kLargestChunk));
    chunks_.push_back(allocate_large(chunk));
    next_ = chunks_.back().get();
    left_ = chunk;
    total_ += chunk;
  }
  const Cell cell = reinterpret_cast<Cell>(next_) | kind;
  next_ += size;
  left_ -= size;
  return cell;
}

void EntityPool::release(Cell cell) {
  if (cell == 0) return;
  const std::lock_guard lock(mutex_);
  Cell& released = released_[cell & (kLine - 1)];
  std::memcpy(address(cell), &released, sizeof(Cell));
  released = cell;
}

}  // namespace ecseq::relation
