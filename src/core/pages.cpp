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
std::byte* map_huge(std::size_t bytes) {
  std::byte* memory = map(bytes + kHugePage);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(memory) % kHugePage;
  if (before > 0) ::munmap(memory, before);
  ::munmap(memory + before + bytes, kHugePage - before);
  memory += before;
#ifdef MADV_HUGEPAGE
  ::madvise(memory, bytes, MADV_HUGEPAGE);  // a request: where it is refused the pages are small
#endif
  return memory;
}

}  // namespace

Pages::Pages(std::size_t bytes)
    : memory_(bytes < kHugePage ? map(bytes) : map_huge(bytes), Unmap{bytes}) {}

void Pages::Unmap::operator()(std::byte* memory) const noexcept { ::munmap(memory, bytes); }

}  // namespace ecseq
