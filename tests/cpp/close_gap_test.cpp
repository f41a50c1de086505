#include "ecseq/core/close_gap.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "ecseq/core/rng.hpp"

namespace ecseq {
namespace {

/// Numbers whose home is their remainder, so that a test says who collides with whom; 0: free.
class Table {
 public:
  explicit Table(std::size_t size) : slots_(size) {}

  std::size_t find(std::size_t number) const {
    std::size_t at = home(number);
    while (slots_[at] != 0 && slots_[at] != number) at = (at + 1) % slots_.size();
    return at;
  }
  bool contains(std::size_t number) const { return slots_[find(number)] == number; }
  void insert(std::size_t number) { slots_[find(number)] = number; }
  void erase(std::size_t number) {
    close_gap(
        std::span(slots_), find(number), [](std::size_t slot) { return slot == 0; },
        [this](std::size_t slot) { return home(slot); });
  }
  const std::vector<std::size_t>& slots() const { return slots_; }

 private:
  std::size_t home(std::size_t number) const { return number % slots_.size(); }

  std::vector<std::size_t> slots_;
};

using Slots = std::vector<std::size_t>;

TEST(CloseGap, WhoeverWasPushedPastTheGapMovesUp) {
  Table table(8);
  for (const std::size_t number : {2, 10, 18, 3}) table.insert(number);
  ASSERT_EQ(table.slots(), (Slots{0, 0, 2, 10, 18, 3, 0, 0}));
  table.erase(2);
  EXPECT_EQ(table.slots(), (Slots{0, 0, 10, 18, 3, 0, 0, 0}));
}

TEST(CloseGap, WhoeverIsAtHomeStays) {
  Table table(8);
  for (const std::size_t number : {2, 3, 10}) table.insert(number);
  ASSERT_EQ(table.slots(), (Slots{0, 0, 2, 3, 10, 0, 0, 0}));
  table.erase(2);
  EXPECT_EQ(table.slots(), (Slots{0, 0, 10, 3, 0, 0, 0, 0}));
}

TEST(CloseGap, ARunGoesRoundTheEnd) {
  Table table(8);
  for (const std::size_t number : {6, 7, 14, 15, 8}) table.insert(number);
  ASSERT_EQ(table.slots(), (Slots{14, 15, 8, 0, 0, 0, 6, 7}));
  table.erase(6);
  EXPECT_EQ(table.slots(), (Slots{15, 8, 0, 0, 0, 0, 14, 7}));
}

TEST(CloseGap, AnyOrderOfChangesLeavesWhatASetHolds) {
  Rng rng(1);
  Table table(32);
  std::set<std::size_t> expected;
  for (int step = 0; step < 5000; ++step) {
    const auto number = static_cast<std::size_t>(1 + rng.below(100));
    if (expected.count(number) > 0) {
      table.erase(number);
      expected.erase(number);
    } else if (expected.size() < 30) {
      table.insert(number);
      expected.insert(number);
    }
    for (std::size_t each = 1; each <= 100; ++each) {
      ASSERT_EQ(table.contains(each), expected.count(each) > 0) << each << " in step " << step;
    }
  }
}

}  // namespace
}  // namespace ecseq
