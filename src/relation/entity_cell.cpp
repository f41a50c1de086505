#include "ecseq/relation/entity_cell.hpp"

#include <new>

namespace ecseq::relation {

EntityCell allocate_cell(std::size_t bytes) {
  std::size_t kind = 0;
  while (cell_bytes(kind) < bytes) ++kind;
  void* const out = std::aligned_alloc(kCacheLine, cell_bytes(kind));
  if (out == nullptr) throw std::bad_alloc();
  return reinterpret_cast<EntityCell>(out) | kind;
}

}  // namespace ecseq::relation
