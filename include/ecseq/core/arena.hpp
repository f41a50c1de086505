#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

namespace ecseq {

/// Bump allocator, 64-byte aligned. `reset` keeps the blocks, so that the same work done again
/// takes nothing from the heap.
class Arena {
 public:
  void* allocate(std::size_t bytes) {
    bytes = (bytes + kAlign - 1) / kAlign * kAlign;
    while (block_ < blocks_.size() && used_ + bytes > blocks_[block_].size) {
      ++block_;
      used_ = 0;
    }
    if (block_ == blocks_.size()) {
      const std::size_t size = std::max(bytes, kBlock);
      blocks_.push_back({std::make_unique_for_overwrite<Line[]>(size / kAlign), size});
      used_ = 0;
    }
    std::byte* out = reinterpret_cast<std::byte*>(blocks_[block_].lines.get()) + used_;
    used_ += bytes;
    return out;
  }
  /// Uninitialised memory for `count` of a trivially destructible type, valid until `reset`.
  template <class T>
  T* take(std::int64_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    return static_cast<T*>(allocate(static_cast<std::size_t>(count) * sizeof(T)));
  }
  void reset() { block_ = used_ = 0; }

  /// How far it is used, so that what was taken since can be given back by `rewind`.
  struct Mark {
    std::size_t block, used;
  };
  Mark mark() const { return {block_, used_}; }
  void rewind(Mark mark) {
    block_ = mark.block;
    used_ = mark.used;
  }

 private:
  static constexpr std::size_t kAlign = 64;
  static constexpr std::size_t kBlock = std::size_t{1} << 20;
  struct alignas(kAlign) Line {
    std::byte bytes[kAlign];
  };
  struct Block {
    std::unique_ptr<Line[]> lines;
    std::size_t size;  // in bytes
  };
  std::vector<Block> blocks_;
  std::size_t block_ = 0;
  std::size_t used_ = 0;
};

}  // namespace ecseq
