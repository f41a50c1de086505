#include "ecseq/core/growing_table.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ecseq/core/rng.hpp"

namespace ecseq {
namespace {

using Table = GrowingTable<std::uint32_t>;

/// Keys whose homes are among the last slots of a table: those that do not fit there go on at the
/// first ones.
std::uint64_t crowded(std::uint64_t i) {
  constexpr std::uint64_t kInverse = 0xf1de83e19937733dULL;  // of fibonacci_hash's factor
  return ~(i << 44) * kInverse;
}

void insert(Table& table, std::uint64_t key, std::uint32_t place) {
  table.reserve_one();
  table.insert(key, place);
}

TEST(GrowingTable, IsAMapWhileItGrows) {
  for (const bool is_crowded : {false, true}) {
    Table table(PageSize::kSmall);
    std::unordered_map<std::uint64_t, std::uint32_t> map;
    std::vector<std::uint64_t> there;
    Rng rng(3);
    // Growth to some 8,000 keys, half of those that come being erased on the way, and down to none.
    for (int i = 0; i < 30'000; ++i) {
      const bool coming = i < 16'000 ? rng.uniform() < 0.75 : rng.uniform() < 0.2;
      const auto drawn = static_cast<std::uint64_t>(rng.below(20'000));
      const std::uint64_t key = is_crowded ? crowded(drawn) : drawn;
      const auto known = map.find(key);
      ASSERT_EQ(table.find(key), known == map.end() ? 0 : known->second);
      if (coming && known == map.end()) {
        const auto place = static_cast<std::uint32_t>(i + 1);
        insert(table, key, place);
        map[key] = place;
        there.push_back(key);
      } else if (!coming && !there.empty()) {
        const auto at = static_cast<std::size_t>(rng.below(static_cast<Index>(there.size())));
        const std::uint64_t gone = there[at];
        there[at] = there.back();
        there.pop_back();
        table.erase(gone);
        map.erase(gone);
        ASSERT_EQ(table.find(gone), 0u);
      }
      ASSERT_EQ(table.size(), map.size());
      if (i % 1000 != 0) continue;
      for (const auto& [each, place] : map) ASSERT_EQ(table.find(each), place);
    }
    for (const auto& [each, place] : map) ASSERT_EQ(table.find(each), place);
  }
}

TEST(GrowingTable, AKeyErasedWhileItMovesMayComeBack) {
  Table table(PageSize::kSmall);
  constexpr std::uint64_t kFull = 160;  // of 256 slots: with one more it grows
  for (std::uint64_t key = 1; key <= kFull + 1; ++key) insert(table, key, 1);
  for (std::uint64_t key = 1; key <= kFull + 1; ++key) {
    table.erase(key);
    EXPECT_EQ(table.find(key), 0u);
    insert(table, key, 2);
    EXPECT_EQ(table.find(key), 2u);
    table.replace(kFull, 3);  // wherever it is
    EXPECT_EQ(table.find(kFull), 3u);
  }
  std::size_t met = 0;
  table.for_each([&](std::uint64_t key, std::uint32_t value) {
    ++met;
    EXPECT_EQ(value, key == kFull ? 3u : 2u);
  });
  EXPECT_EQ(met, kFull + 1);
  EXPECT_EQ(table.size(), kFull + 1);
}

TEST(GrowingTable, IsNotMetInTheOrderOfItsHashes) {
  Table table(PageSize::kSmall);
  for (std::uint64_t key = 1; key <= 20'000; ++key) insert(table, key, 1);
  // Any thousand in a row are from everywhere, so that they may go into a table of a thousand.
  std::vector<int> quarter(4, 0);
  std::size_t met = 0;
  table.for_each([&](std::uint64_t key, std::uint32_t) {
    ++quarter[fibonacci_hash(key) >> 62];
    if (++met % 1000 != 0) return;
    for (int& count : quarter) EXPECT_NEAR(std::exchange(count, 0), 250, 50) << "before " << met;
  });
  EXPECT_EQ(met, 20'000u);
}

}  // namespace
}  // namespace ecseq
