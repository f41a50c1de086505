#include "../../src/serving/id_table.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "ecseq/core/rng.hpp"

namespace ecseq::serving {
namespace {

/// Ids whose homes are among the last slots of a table: those that do not fit there go on at the
/// first ones.
std::uint64_t crowded(std::uint64_t i) {
  constexpr std::uint64_t kInverse = 0xf1de83e19937733dULL;  // of fibonacci_hash's factor
  return ~(i << 44) * kInverse;
}

void insert(IdTable& table, std::uint64_t id, std::uint32_t place) {
  table.reserve_one();
  table.insert(id, place);
}

TEST(IdTable, IsAMapWhileItGrows) {
  for (const bool is_crowded : {false, true}) {
    IdTable table;
    std::unordered_map<std::uint64_t, std::uint32_t> map;
    std::vector<std::uint64_t> there;
    Rng rng(3);
    // Growth to some 8,000 ids, half of those that come being erased on the way, and down to none.
    for (int i = 0; i < 30'000; ++i) {
      const bool coming = i < 16'000 ? rng.uniform() < 0.75 : rng.uniform() < 0.2;
      const auto drawn = static_cast<std::uint64_t>(rng.below(20'000));
      const std::uint64_t id = is_crowded ? crowded(drawn) : drawn;
      const auto known = map.find(id);
      ASSERT_EQ(table.find(id), known == map.end() ? 0 : known->second);
      if (coming && known == map.end()) {
        const auto place = static_cast<std::uint32_t>(i + 1);
        insert(table, id, place);
        map[id] = place;
        there.push_back(id);
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

TEST(IdTable, AnIdErasedWhileItMovesMayComeBack) {
  IdTable table;
  for (std::uint64_t id = 1; id <= 128; ++id) insert(table, id, 1);
  insert(table, 129, 1);  // half full: it begins to grow, and most ids have not moved yet
  for (std::uint64_t id = 1; id <= 129; ++id) {
    table.erase(id);
    EXPECT_EQ(table.find(id), 0u);
    insert(table, id, 2);
    EXPECT_EQ(table.find(id), 2u);
  }
  for (std::uint64_t id = 1; id <= 129; ++id) EXPECT_EQ(table.find(id), 2u);
  EXPECT_EQ(table.size(), 129u);
}

}  // namespace
}  // namespace ecseq::serving
