#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

namespace ecseq::relation {

/// Memory for tables of many megabytes that are read at random: on Linux in pages of 2 MB where
/// the system lends them, so that an access costs one miss and not a second one for its address.
struct FreeBytes {
  void operator()(std::byte* bytes) const { std::free(bytes); }
};
using LargeBytes = std::unique_ptr<std::byte, FreeBytes>;
/// Aligned to a cache line at least; not initialised. Throws std::bad_alloc.
LargeBytes allocate_large(std::size_t bytes);

/// Cells of a few sizes, cut from large chunks of memory. A cell that is given back serves the next
/// request of its size; chunks go back to the system with the pool.
///
/// Cells begin at a cache line, which leaves the lowest six bits of an address for the kind of
/// cell: whoever holds a `Cell` can fetch the whole of it at once.
class EntityPool {
 public:
  static constexpr std::size_t kLine = 64;

  /// Address and kind in one number; 0 = none.
  using Cell = std::uintptr_t;
  static std::byte* address(Cell cell) {
    return reinterpret_cast<std::byte*>(cell & ~static_cast<Cell>(kLine - 1));
  }
  /// 128, 192, 256, 384, 512, 768, ... bytes.
  static std::size_t bytes(Cell cell) { return bytes_of_kind(cell & (kLine - 1)); }

  /// At least `bytes`, at most half as many again (or 128). Safe from several threads, as
  /// `release`.
  Cell allocate(std::size_t bytes);
  void release(Cell cell);

 private:
  static std::size_t bytes_of_kind(std::size_t kind) {
    return (kind % 2 == 0 ? 2 * kLine : 3 * kLine) << (kind / 2);
  }

  std::mutex mutex_;
  std::vector<LargeBytes> chunks_;
  std::byte* next_ = nullptr;  ///< what is left of the last chunk
  std::size_t left_ = 0;
  std::size_t total_ = 0;               ///< bytes of all chunks
  std::array<Cell, kLine> released_{};  ///< by kind the first; each holds the next
};

}  // namespace ecseq::relation
