#include "ecseq/relation/entity_cells.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "ecseq/core/rng.hpp"

namespace ecseq::relation {
namespace {

void fill(EntityCell cell, unsigned char with) { std::memset(address(cell), with, size_of(cell)); }

bool holds(EntityCell cell, unsigned char what) {
  const auto* const begin = reinterpret_cast<const unsigned char*>(address(cell));
  return std::all_of(begin, begin + size_of(cell), [&](unsigned char x) { return x == what; });
}

TEST(EntityCells, AreLargeEnoughAndWasteAtMostHalf) {
  EntityCells cells;
  for (std::size_t bytes = 1; bytes < 200'000; bytes += bytes / 7 + 1) {
    const EntityCell cell = cells.take(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(address(cell)) % kCacheLine, 0U);
    EXPECT_GE(size_of(cell), bytes);
    EXPECT_LE(size_of(cell), std::max<std::size_t>(128, bytes + bytes / 2));
  }
}

TEST(EntityCells, OneLargerThanASlabHasMemoryOfItsOwn) {
  EntityCells cells;
  const EntityCell small = cells.take(100), large = cells.take(5 << 20), after = cells.take(100);
  fill(small, 1);
  fill(large, 2);
  fill(after, 3);
  EXPECT_TRUE(holds(small, 1) && holds(large, 2) && holds(after, 3));
}

TEST(EntityCells, AreGivenAgainForTheSameSizeOnly) {
  EntityCells cells;
  const EntityCell a = cells.take(300), b = cells.take(300), other = cells.take(1000);
  cells.give_back(a);
  cells.give_back(b);
  cells.give_back(other);
  EXPECT_EQ(cells.take(310), b);
  EXPECT_EQ(cells.take(300), a);
  EXPECT_NE(cells.take(300), other);
  EXPECT_EQ(cells.take(900), other);
}

// Each cell is filled with a number of its own; one that overlapped another would lose it.
void take_and_give_back(EntityCells& cells, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<std::pair<EntityCell, unsigned char>> held;
  for (int step = 0; step < 20'000; ++step) {
    if (held.size() < 200 || rng.uniform() < 0.5) {
      const auto number = static_cast<unsigned char>(rng.below(256));
      held.emplace_back(cells.take(static_cast<std::size_t>(1 + rng.below(3000))), number);
      fill(held.back().first, number);
    } else {
      const auto i = static_cast<std::size_t>(rng.below(static_cast<Index>(held.size())));
      ASSERT_TRUE(holds(held[i].first, held[i].second));
      cells.give_back(held[i].first);
      held[i] = held.back();
      held.pop_back();
    }
  }
  for (const auto& [cell, number] : held) ASSERT_TRUE(holds(cell, number));
}

TEST(EntityCells, NeverOverlapWhicheverThreadTakesThem) {
  EntityCells cells;
  std::thread other([&] { take_and_give_back(cells, 1); });
  take_and_give_back(cells, 2);
  other.join();
}

}  // namespace
}  // namespace ecseq::relation
