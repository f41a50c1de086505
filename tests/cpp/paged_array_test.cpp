#include "ecseq/core/paged_array.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace ecseq {
namespace {

TEST(PagedArray, HoldsZerosUntilWritten) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{1000}, kHugePage}) {
    PagedArray<std::uint32_t> array(size);
    ASSERT_EQ(array.size(), size);
    EXPECT_TRUE(std::all_of(array.data(), array.data() + size, [](auto x) { return x == 0; }));
    array[size - 1] = 7;
    EXPECT_EQ(std::as_const(array)[size - 1], 7u);
  }
}

TEST(PagedArray, IsEmptyByDefaultAndMoves) {
  PagedArray<float> one;
  EXPECT_TRUE(one.empty());
  PagedArray<float> two(10);
  two[3] = 2.5F;
  std::swap(one, two);
  EXPECT_TRUE(two.empty());
  EXPECT_EQ(one[3], 2.5F);
  EXPECT_EQ(std::span<const float>(one).size(), 10u);
}

}  // namespace
}  // namespace ecseq
