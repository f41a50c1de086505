#include "block_slabs.hpp"

#include <algorithm>
#include <limits>
#include <new>

namespace ecseq::serving {
namespace {

constexpr std::size_t kFirstSlab = kHugePage / 4;

}  // namespace

BlockSlabs::BlockSlabs(std::size_t block_size)
    : block_size_(block_size),
      stride_((block_size + sizeof(BlockOwner) + kCacheLine - 1) / kCacheLine * kCacheLine) {
  take();  // place 0, nobody's; its memory is zeros and so its neighbours are itself
}

Place BlockSlabs::take() {
  if (free_ != 0) {
    const Place place = free_;
    free_ = owner(place).newer;
    return place;
  }
  if (slabs_.empty() || used_ + stride_ > slabs_.back().size()) add_slab();
  const std::size_t place = (slabs_.size() - 1) * kLines + used_ / kCacheLine;
  used_ += stride_;
  return static_cast<Place>(place);
}

void BlockSlabs::give_back(Place place) noexcept {
  owner(place).newer = free_;
  free_ = place;
}

void BlockSlabs::add_slab() {
  if (end() + kLines - 1 > std::numeric_limits<Place>::max()) throw std::bad_alloc();
  // Small pages are taken one by one as they are touched: a store of few users stays small.
  const std::size_t smallest = std::max(kFirstSlab, stride_);
  slabs_.emplace_back(slabs_.empty() ? smallest : kHugePage);
  used_ = 0;
}

std::size_t BlockSlabs::bytes() const {
  std::size_t sum = 0;
  for (const Pages& slab : slabs_) sum += slab.size();
  return sum;
}

void BlockSlabs::prefetch(Place place) const {
  constexpr std::size_t kMost = 16 * kCacheLine;  // the processor follows a longer one itself
  const std::byte* first = at(place);
  for (std::size_t i = 0; i < std::min(stride_, kMost); i += kCacheLine) {
    fetch_line(first + i);
  }
  fetch_line(first + stride_ - kCacheLine);
}

}  // namespace ecseq::serving
