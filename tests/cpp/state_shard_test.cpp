#include "../../src/serving/state_shard.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace ecseq::serving {
namespace {

using Ids = std::vector<std::uint64_t>;

/// A shard of blocks of 8 bytes whose users are called by their ids.
struct Shard {
  StateShard shard;

  explicit Shard(std::uint64_t users, std::size_t max_users = 0) : shard(8, max_users) {
    for (std::uint64_t user = 1; user <= users; ++user) use(user);
  }
  void use(std::uint64_t user) {
    const std::uint64_t hash = hash_of(user);
    Place place = shard.find(hash, user);
    if (place != 0) return shard.touch(place);
    place = shard.take();
    shard.admit(hash, user, place);
  }
  void erase(std::uint64_t user) { shard.erase(hash_of(user), shard.find(hash_of(user), user)); }
  /// The next n users of the walk.
  Ids walk(std::size_t n) {
    std::vector<std::byte> records;
    shard.walk(n, records);
    Ids ids(records.size() / 16);
    for (std::size_t i = 0; i < ids.size(); ++i) std::memcpy(&ids[i], &records[16 * i], 8);
    return ids;
  }
};

TEST(StateShard, AWalkGoesFromTheLongestUnusedToTheLatestUsed) {
  Shard shard(4);
  shard.use(2);
  shard.shard.start_walk();
  EXPECT_EQ(shard.walk(3), (Ids{1, 3, 4}));
  EXPECT_EQ(shard.walk(3), (Ids{2}));
  EXPECT_EQ(shard.walk(3), (Ids{}));
}

TEST(StateShard, AUserUsedDuringAWalkIsMetOnce) {
  Shard shard(5);
  shard.shard.start_walk();
  EXPECT_EQ(shard.walk(2), (Ids{1, 2}));
  shard.use(1);  // met already
  shard.use(3);  // next on the walk
  shard.use(4);  // and again
  EXPECT_EQ(shard.walk(10), (Ids{5, 3, 4}));
  shard.use(5);
  EXPECT_EQ(shard.walk(10), (Ids{}));
}

TEST(StateShard, AUserWhoComesDuringAWalkIsNotMet) {
  Shard shard(4);
  shard.shard.start_walk();
  EXPECT_EQ(shard.walk(2), (Ids{1, 2}));
  shard.erase(1);
  shard.erase(3);
  shard.use(1);  // in the place of 3, who was not met
  shard.use(9);
  EXPECT_EQ(shard.walk(10), (Ids{4}));
  shard.shard.start_walk();
  EXPECT_EQ(shard.walk(10), (Ids{2, 4, 1, 9}));
}

TEST(StateShard, AWalkGoesOnWhereTheNextUsersAreForgotten) {
  Shard shard(4, 4);
  shard.shard.start_walk();
  EXPECT_EQ(shard.walk(1), (Ids{1}));
  for (std::uint64_t user = 5; user <= 7; ++user) shard.use(user);  // 1, 2 and 3 go
  EXPECT_EQ(shard.shard.evicted(), 3U);
  EXPECT_EQ(shard.walk(10), (Ids{4}));
}

TEST(StateShard, AWalkCanBeGivenUpForAnother) {
  Shard shard(3);
  shard.shard.start_walk();
  EXPECT_EQ(shard.walk(2), (Ids{1, 2}));
  shard.use(1);
  shard.shard.start_walk();
  EXPECT_EQ(shard.walk(10), (Ids{2, 3, 1}));
}

TEST(StateShard, UsersWhoseHashesShareATagAreTwoUsers) {
  // One home, so that each is pushed on by those before it.
  constexpr std::uint64_t kTag = 0x80000000;
  StateShard shard(8, 0);
  std::vector<Place> places;
  for (std::uint64_t user = 0; user < 5; ++user) {
    EXPECT_EQ(shard.find(kTag, user), 0U);
    places.push_back(shard.take());
    shard.admit(kTag, user, places.back());
  }
  shard.erase(kTag, places[1]);
  for (std::uint64_t user = 0; user < 5; ++user) {
    EXPECT_EQ(shard.find(kTag, user), user == 1 ? 0U : places[user]);
  }
}

}  // namespace
}  // namespace ecseq::serving
