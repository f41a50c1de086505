#include "ecseq/core/pages.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace ecseq {
namespace {

std::byte* map(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(memory);
}

/// The system aligns to its own pages only: map one huge page more and give back what sticks out.
std::byte* map_aligned(std::size_t bytes) {
  std::byte* memory = map(bytes + kHugePage);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(memory) % kHugePage;
  if (before > 0) ::munmap(memory, before);
  ::munmap(memory + before + bytes, kHugePage - before);
  return memory + before;
}

}  // namespace

Pages::Pages(std::size_t bytes)
    : memory_(bytes < kHugePage ? map(bytes) : map_aligned(bytes), Unmap{bytes}) {}

void Pages::prefer_huge() const noexcept {
#ifdef MADV_HUGEPAGE
  if (size() >= kHugePage) ::madvise(data(), size(), MADV_HUGEPAGE);
#endif
}

void Pages::Unmap::operator()(std::byte* memory) const noexcept { ::munmap(memory, bytes); }

}  // namespace ecseq
