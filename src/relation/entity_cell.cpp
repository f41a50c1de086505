#include "ecseq/relation/entity_cell.hpp"

#include <cstring>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace ecseq::relation {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::byte* allocate(std::size_t bytes, std::size_t alignment) {
  void* const out = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (out == nullptr) throw std::bad_alloc();
  return static_cast<std::byte*>(out);
}

}  // namespace

EntityCell allocate_cell(std::size_t bytes) {
  std::size_t kind = 0;
  while (cell_bytes(kind) < bytes) ++kind;
  return reinterpret_cast<EntityCell>(allocate(cell_bytes(kind), kCacheLine)) | kind;
}

TableBytes allocate_table(std::size_t bytes) {
  const bool huge = bytes >= kHugePage;
  TableBytes out(allocate(bytes, huge ? kHugePage : kCacheLine));
#ifdef __linux__
  // A request, not a need: where it is refused the pages are small.
  if (huge) ::madvise(out.get(), bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  std::memset(out.get(), 0, bytes);
  return out;
}

}  // namespace ecseq::relation
