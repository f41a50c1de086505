#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ecseq/core/cache_line.hpp"
#include "ecseq/core/pages.hpp"

namespace ecseq::serving {

/// Where a block is in its shard: a number of cache lines. Place 0 belongs to no user.
using Place = std::uint32_t;

/// What stands behind a block, on its last cache line: whose it is, and its neighbours in the order
/// of use. Place 0 stands before the oldest and after the newest.
struct BlockOwner {
  std::uint64_t user;
  Place newer;
  Place older;
};

/// Equal blocks in slabs of one huge page, the first slab being smaller. A block never moves.
class BlockSlabs {
 public:
  explicit BlockSlabs(std::size_t block_size);

  std::span<std::byte> block(Place place) const { return {at(place), block_size_}; }
  BlockOwner& owner(Place place) const {
    return *reinterpret_cast<BlockOwner*>(at(place) + stride_ - sizeof(BlockOwner));
  }
  /// A block that is nobody's, of any contents. Throws std::bad_alloc.
  Place take();
  void give_back(Place place) noexcept;

  /// Places so far are below.
  std::size_t end() const { return slabs_.size() * kLines; }
  std::size_t bytes() const;
  /// The whole block at once, which the processor would find out line by line.
  void prefetch(Place place) const;

 private:
  static constexpr std::size_t kLines = kHugePage / kCacheLine;

  std::byte* at(Place place) const {
    return slabs_[place / kLines].data() + place % kLines * kCacheLine;
  }
  void add_slab();

  std::size_t block_size_;
  std::size_t stride_;  ///< bytes from a block to the next
  std::vector<Pages> slabs_;
  std::size_t used_ = 0;  ///< bytes of the last slab
  Place free_ = 0;        ///< the first of those given back, linked by `newer`; 0: none
};

}  // namespace ecseq::serving
