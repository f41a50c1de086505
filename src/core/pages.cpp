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
std::byte* map_aligned(std::size_t bytes, PageSize size) {
  std::byte* memory = map(bytes + kHugePage);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(memory) % kHugePage;
  if (before > 0) ::munmap(memory, before);
  ::munmap(memory + before + bytes, kHugePage - before);
  memory += before;
#ifdef MADV_HUGEPAGE
  ::madvise(memory, bytes, size == PageSize::kHuge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
  return memory;
}

}  // namespace

Pages::Pages(std::size_t bytes, PageSize size)
    : memory_(bytes < kHugePage ? map(bytes) : map_aligned(bytes, size), Unmap{bytes}) {}

void Pages::Unmap::operator()(std::byte* memory) const noexcept { ::munmap(memory, bytes); }

}  // namespace ecseq
