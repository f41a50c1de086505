#include "ecseq/serving/state_store.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <list>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"
#include "expect_refused.hpp"
#include "temporary_folder.hpp"

namespace ecseq::serving {
namespace {

using Block = std::span<std::byte>;

StateStoreOptions options_of(std::size_t block_size, std::size_t max_users = 0, int shards = 4) {
  return {.block_size = block_size, .block_kind = 7, .max_users = max_users, .shards = shards};
}

std::uint64_t number(std::span<const std::byte> block) {
  std::uint64_t value;
  std::memcpy(&value, block.data(), sizeof value);
  return value;
}

void set_number(Block block, std::uint64_t value) {
  std::memcpy(block.data(), &value, sizeof value);
}

void put(StateStore& store, std::uint64_t user, std::uint64_t value) {
  store.with(user, [&](Block block, bool) { set_number(block, value); });
}

/// Adds one to the number in the user's block; says whether the user was fresh.
bool count(StateStore& store, std::uint64_t user) {
  return store.with(user, [](Block block, bool fresh) {
    set_number(block, number(block) + 1);
    return fresh;
  });
}

/// The number in the user's block of block_size bytes; the largest number if the user is not there.
std::uint64_t get(const StateStore& store, std::uint64_t user, std::size_t block_size = 8) {
  std::vector<std::byte> block(block_size);
  return store.read(user, block) ? number(block) : std::numeric_limits<std::uint64_t>::max();
}

bool holds(const StateStore& store, std::uint64_t user, std::size_t block_size = 8) {
  return get(store, user, block_size) != std::numeric_limits<std::uint64_t>::max();
}

TEST(StateStore, AFreshBlockIsAlignedZerosAndIsKept) {
  StateStore store(options_of(304));
  for (std::uint64_t user = 0; user < 1000; ++user) {
    store.with(user, [&](Block block, bool fresh) {
      EXPECT_TRUE(fresh);
      EXPECT_EQ(block.size(), 304U);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.data()) % 64, 0U);
      for (const std::byte byte : block) EXPECT_EQ(byte, std::byte{0});
      std::memset(block.data(), static_cast<int>(user % 256), block.size());
    });
  }
  EXPECT_EQ(store.size(), 1000U);
  std::vector<std::byte> block(304);
  for (std::uint64_t user = 0; user < 1000; ++user) {
    ASSERT_TRUE(store.read(user, block));
    for (const std::byte byte : block) ASSERT_EQ(byte, static_cast<std::byte>(user % 256));
    EXPECT_FALSE(store.with(user, [](Block, bool fresh) { return fresh; }));
  }
  EXPECT_FALSE(store.read(1000, block));
  EXPECT_EQ(store.size(), 1000U);
  EXPECT_EQ(store.evicted(), 0U);
}

TEST(StateStore, TheExtremesOfIdsAreUsersLikeOthers) {
  constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();
  const std::vector<std::uint64_t> users = {
      0, 1, (1ULL << 32) - 1, 1ULL << 32, (1ULL << 32) + 1, 1ULL << 63, kLargest - 1, kLargest};
  StateStore store(options_of(8));
  for (const std::uint64_t user : users) put(store, user, user ^ 5);
  EXPECT_EQ(store.size(), users.size());
  for (const std::uint64_t user : users) EXPECT_EQ(get(store, user), user ^ 5);
  EXPECT_TRUE(store.erase(0));
  EXPECT_TRUE(store.erase(kLargest));
  EXPECT_FALSE(store.erase(0));
  EXPECT_FALSE(holds(store, 0));
  for (std::size_t i = 1; i + 1 < users.size(); ++i) EXPECT_EQ(get(store, users[i]), users[i] ^ 5);
}

TEST(StateStore, BlocksOfEverySizeDoNotOverlap) {
  for (const std::size_t size : {1U, 8U, 47U, 48U, 49U, 112U, 113U, 5000U, 1U << 20}) {
    StateStore store(options_of(size, 0, 2));
    const std::uint64_t users = size < 10000 ? 300 : 5;
    for (std::uint64_t user = 0; user < users; ++user) {
      store.with(user, [&](Block block, bool) {
        std::memset(block.data(), static_cast<int>(user % 251), block.size());
      });
    }
    std::vector<std::byte> block(size);
    for (std::uint64_t user = 0; user < users; ++user) {
      ASSERT_TRUE(store.read(user, block));
      for (const std::byte byte : block) ASSERT_EQ(byte, static_cast<std::byte>(user % 251));
    }
  }
}

TEST(StateStore, OptionsAreChecked) {
  const auto make = [](std::size_t block_size, int shards) {
    return [=] { StateStore(options_of(block_size, 0, shards)); };
  };
  testing::expect_refused(make(0, 1), "block_size: expected 1 to 1048576, got 0");
  testing::expect_refused(make(1048577, 1), "block_size: expected 1 to 1048576, got 1048577");
  testing::expect_refused(make(8, 0), "shards: expected 1 to 65536, got 0");
  testing::expect_refused(make(8, 65537), "shards: expected 1 to 65536, got 65537");
  const StateStore store(options_of(8));
  std::vector<std::byte> block(9);
  testing::expect_refused([&] { store.read(1, block); }, "out: expected 8 bytes, got 9");
}

TEST(StateStore, AFreshUserWhoseFirstUseFailsHasNeverBeenThere) {
  StateStore store(options_of(8, 2));
  const auto fail = [](Block block, bool) {
    set_number(block, 99);
    throw std::runtime_error("no");
  };
  put(store, 1, 10);
  put(store, 2, 20);
  EXPECT_THROW(store.with(3, fail), std::runtime_error);
  EXPECT_FALSE(holds(store, 3));
  EXPECT_EQ(store.size(), 2U);
  EXPECT_EQ(store.evicted(), 0U);
  EXPECT_EQ(get(store, 1), 10U);
  EXPECT_THROW(store.with(2, fail), std::runtime_error);
  EXPECT_EQ(get(store, 2), 99U);
  store.with(3, [](Block block, bool fresh) {
    EXPECT_TRUE(fresh);
    EXPECT_EQ(number(block), 0U);
  });
  EXPECT_FALSE(holds(store, 1));
  EXPECT_EQ(store.evicted(), 1U);
}

/// A store of one shard in plain words.
class Model {
 public:
  explicit Model(std::size_t max_users) : max_users_(max_users) {}

  /// Whether the user was fresh; adds one to the user's number.
  bool count(std::uint64_t user) {
    const auto found = users_.find(user);
    const bool fresh = found == users_.end();
    if (!fresh) order_.erase(found->second.at);
    order_.push_back(user);
    Entry& entry = users_[user];
    entry.at = std::prev(order_.end());
    ++entry.value;
    if (max_users_ > 0 && users_.size() > max_users_) {
      users_.erase(order_.front());
      order_.pop_front();
      ++evicted_;
    }
    return fresh;
  }
  bool erase(std::uint64_t user) {
    const auto found = users_.find(user);
    if (found == users_.end()) return false;
    order_.erase(found->second.at);
    users_.erase(found);
    return true;
  }
  void expect_equal(const StateStore& store, std::uint64_t n_ids) const {
    ASSERT_EQ(store.size(), users_.size());
    ASSERT_EQ(store.evicted(), evicted_);
    for (std::uint64_t user = 0; user < n_ids; ++user) {
      const auto found = users_.find(user);
      ASSERT_EQ(holds(store, user), found != users_.end()) << user;
      if (found == users_.end()) continue;
      ASSERT_EQ(get(store, user), found->second.value);
    }
  }
  const std::list<std::uint64_t>& order() const { return order_; }

 private:
  struct Entry {
    std::uint64_t value = 0;
    std::list<std::uint64_t>::iterator at;
  };
  std::size_t max_users_;
  std::unordered_map<std::uint64_t, Entry> users_;
  std::list<std::uint64_t> order_;  ///< longest unused first
  std::uint64_t evicted_ = 0;
};

TEST(StateStore, DoesWhatAMapAndAListDo) {
  for (const std::size_t max_users : {0U, 1U, 2U, 3U, 100U, 1500U}) {
    Rng rng(max_users);
    StateStore store(options_of(8, max_users, 1));
    Model model(max_users);
    constexpr std::uint64_t kIds = 3000;
    for (int step = 0; step < 60'000; ++step) {
      // Few ids are frequent.
      const auto user =
          static_cast<std::uint64_t>(rng.uniform() * rng.uniform() * static_cast<double>(kIds));
      if (rng.below(5) == 0) {
        ASSERT_EQ(store.erase(user), model.erase(user));
      } else {
        ASSERT_EQ(count(store, user), model.count(user));
      }
      if (rng.below(3) == 0) get(store, static_cast<std::uint64_t>(rng.below(kIds)));
      if (step % 5'000 == 0) model.expect_equal(store, kIds);
    }
    model.expect_equal(store, kIds);
  }
}

TEST(StateStore, TheBoundHoldsOverAllShards) {
  constexpr std::size_t kBound = 5000;  // of four shards, with 1250 users each
  StateStore store(options_of(8, kBound));
  Rng rng(3);
  std::uint64_t fresh = 0;
  std::set<std::uint64_t> seen;
  for (int step = 0; step < 60'000; ++step) {
    const auto user = static_cast<std::uint64_t>(rng.below(20'000));
    seen.insert(user);
    fresh += count(store, user);
    ASSERT_TRUE(holds(store, user));
    ASSERT_LE(store.size(), kBound);
    ASSERT_EQ(store.size() + store.evicted(), fresh);
  }
  EXPECT_EQ(store.size(), kBound);
  std::uint64_t held = 0;
  for (const std::uint64_t user : seen) held += holds(store, user);
  EXPECT_EQ(held, kBound);
}

TEST(StateStore, WhatIsForgottenIsUsedAgain) {
  StateStore store(options_of(3000, 1000, 1));
  for (std::uint64_t user = 0; user < 2000; ++user) put(store, user, user);
  const std::size_t before = store.bytes();
  for (std::uint64_t user = 2000; user < 50'000; ++user) put(store, user, user);
  EXPECT_EQ(store.bytes(), before);
  EXPECT_EQ(store.evicted(), 49'000U);
}

TEST(StateStore, AFirstUseThatFailsLeavesNoMemoryBehind) {
  StateStore store(options_of(3000, 0, 1));
  put(store, 1, 10);
  const std::size_t before = store.bytes();
  for (std::uint64_t user = 2; user < 5000; ++user) {
    EXPECT_THROW(store.with(user, [](Block, bool) { throw std::runtime_error("no"); }),
                 std::runtime_error);
  }
  EXPECT_EQ(store.bytes(), before);
  EXPECT_EQ(store.size(), 1U);
}

TEST(StateStore, PrefetchChangesNothing) {
  StateStore store(options_of(8, 2, 1));
  put(store, 1, 10);
  put(store, 2, 20);
  store.prefetch(1);
  store.prefetch(3);
  put(store, 3, 30);
  EXPECT_FALSE(holds(store, 1));
  EXPECT_EQ(get(store, 2), 20U);
  EXPECT_EQ(store.size(), 2U);
}

TEST(StateStore, AMovedStoreKeepsItsUsers) {
  StateStore store(options_of(8));
  put(store, 1, 10);
  StateStore other(std::move(store));
  EXPECT_EQ(get(other, 1), 10U);
}

void run_threads(int n, const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < n; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
}

TEST(StateStore, NoUpdateIsLostAmongThreadsOnTheSameUsers) {
  StateStore store(options_of(24));
  constexpr std::uint64_t kUsers = 50;
  constexpr int kThreads = 4;
  constexpr int kRounds = 200;
  std::atomic<std::uint64_t> fresh{0};
  run_threads(kThreads, [&](int) {
    for (int round = 0; round < kRounds; ++round) {
      for (std::uint64_t user = 0; user < kUsers; ++user) fresh += count(store, user);
    }
  });
  EXPECT_EQ(fresh, kUsers);
  for (std::uint64_t user = 0; user < kUsers; ++user) {
    EXPECT_EQ(get(store, user, 24), static_cast<std::uint64_t>(kThreads * kRounds));
  }
}

TEST(StateStore, ThreadsOnTheirOwnUsersDoNotDisturbOneAnother) {
  StateStore store(options_of(24));
  constexpr std::uint64_t kUsers = 3000;  // enough for the tables to grow meanwhile
  run_threads(4, [&](int thread) {
    const auto first = static_cast<std::uint64_t>(thread) << 40;
    for (std::uint64_t round = 1; round <= 3; ++round) {
      for (std::uint64_t user = first; user < first + kUsers; ++user) {
        EXPECT_EQ(count(store, user), round == 1);
        store.prefetch(user + 1);
        EXPECT_EQ(get(store, user, 24), round);
      }
    }
    for (std::uint64_t user = first; user < first + kUsers; user += 3) store.erase(user);
  });
  EXPECT_EQ(store.size(), 4U * (kUsers - kUsers / 3));
}

TEST(StateStore, TheBoundHoldsAmongThreads) {
  constexpr std::size_t kBound = 2100;
  StateStore store(options_of(8, kBound));
  std::atomic<std::uint64_t> fresh{0};
  run_threads(4, [&](int thread) {
    Rng rng(static_cast<std::uint64_t>(thread));
    for (int step = 0; step < 10'000; ++step) {
      fresh += count(store, static_cast<std::uint64_t>(rng.below(6000)));
      EXPECT_LE(store.size(), kBound);
    }
  });
  EXPECT_EQ(store.size() + store.evicted(), fresh);
}

class StateSnapshot : public ::testing::Test {
 protected:
  std::string path() const { return folder_.file("states"); }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_.path()),
                      std::filesystem::directory_iterator()));
  }
  std::string contents() const {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& bytes) const { std::ofstream(path(), std::ios::binary) << bytes; }
  void expect_file_refused(const StateStoreOptions& options, const std::string& part) const {
    try {
      StateStore::load(path(), options);
      ADD_FAILURE() << "accepted; expected: " << part;
    } catch (const FileError& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.rfind(path() + ": ", 0), 0U) << message;
      EXPECT_NE(message.find(part), std::string::npos) << message;
    }
  }

  testing::TemporaryFolder folder_;
};

TEST_F(StateSnapshot, RoundTripKeepsEveryBlock) {
  for (const std::uint64_t users : {0, 1, 7, 30'000}) {
    StateStore store(options_of(40));
    for (std::uint64_t user = 0; user < users; ++user) put(store, user * user - 5, user);
    if (users > 10) store.erase(3 * 3 - 5);
    EXPECT_EQ(store.save(path()), store.size());
    EXPECT_EQ(files(), 1U);
    const StateStore back = StateStore::load(path(), options_of(40));
    EXPECT_EQ(back.size(), store.size());
    for (std::uint64_t user = 0; user < users; ++user) {
      ASSERT_EQ(get(back, user * user - 5, 40), get(store, user * user - 5, 40));
    }
    EXPECT_EQ(holds(back, 4, 40), users == 7);
  }
}

TEST_F(StateSnapshot, BringsBackTheOrderOfUse) {
  for (const int shards : {1, 4}) {
    Rng rng(1);
    StateStore store(options_of(8, 0, shards));
    Model model(0);
    for (int step = 0; step < 40'000; ++step) {
      const auto user = static_cast<std::uint64_t>(rng.below(12'000));
      count(store, user);
      model.count(user);
    }
    store.save(path());
    const StateStore back = StateStore::load(path(), options_of(8, 0, shards));
    EXPECT_EQ(back.save(path()), store.size());
    const StateStore bounded = StateStore::load(path(), options_of(8, 4096, shards));
    EXPECT_EQ(bounded.size() + bounded.evicted(), store.size());
    std::size_t rank = model.order().size();
    std::size_t wrong = 0;
    for (const std::uint64_t user : model.order()) {
      wrong += holds(bounded, user) != (rank <= 4096);
      --rank;
    }
    // Of several shards each keeps its own latest quarter.
    EXPECT_LE(wrong, shards == 1 ? 0U : 200U);
  }
}

TEST_F(StateSnapshot, AnotherNumberOfShardsKeepsTheOrderRoughly) {
  StateStore store(options_of(8, 0, 64));
  constexpr std::uint64_t kUsers = 200'000;
  for (std::uint64_t user = 0; user < kUsers; ++user) put(store, user, user);
  store.save(path());
  const StateStore bounded = StateStore::load(path(), options_of(8, kUsers / 2, 1));
  std::uint64_t old = 0;
  for (std::uint64_t user = 0; user < kUsers / 4; ++user) old += holds(bounded, user);
  std::uint64_t recent = 0;
  for (std::uint64_t user = 3 * kUsers / 4; user < kUsers; ++user) recent += holds(bounded, user);
  EXPECT_LT(old, kUsers / 200);
  EXPECT_GT(recent, kUsers / 4 - kUsers / 200);
}

TEST_F(StateSnapshot, GoesOnBesideUpdates) {
  constexpr std::uint64_t kUsers = 20'000;
  StateStore store(options_of(32));
  const auto bump = [&](std::uint64_t user) {
    // Both halves always agree: a block copied in the middle of an update would show.
    store.with(user, [](Block block, bool) {
      set_number(block, number(block) + 1);
      set_number(block.subspan(24), number(block));
    });
  };
  for (std::uint64_t user = 0; user < kUsers; ++user) bump(user);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> bumps{0};
  std::thread updates([&] {
    Rng rng(5);
    for (std::uint64_t fresh = kUsers + 100; !stop; ++fresh) {
      bump(fresh);
      store.erase(fresh - 100);
      for (int i = 0; i < 20; ++i) bump(static_cast<std::uint64_t>(rng.below(kUsers)));
      ++bumps;
    }
  });
  while (bumps == 0) std::this_thread::yield();
  for (int round = 0; round < 5; ++round) {
    const std::uint64_t saved = store.save(path());
    const StateStore back = StateStore::load(path(), options_of(32));
    EXPECT_EQ(back.size(), saved);
    std::vector<std::byte> block(32);
    for (std::uint64_t user = 0; user < kUsers; ++user) {
      ASSERT_TRUE(back.read(user, block)) << user;
      ASSERT_EQ(number(block), number(std::span(block).subspan(24))) << user;
      ASSERT_LE(number(block), get(store, user, 32));
    }
  }
  stop = true;
  updates.join();
}

TEST_F(StateSnapshot, UsersWhoMoveGoAndComeMeanwhileAreMetOnceAtMost) {
  // Two savers and a bound that is always reached: places are used again all the time.
  StateStore store(options_of(8, 3000, 2));
  std::atomic<bool> stop{false};
  std::thread updates([&] {
    Rng rng(5);
    while (!stop) {
      count(store, static_cast<std::uint64_t>(rng.below(6000)));
      if (rng.below(4) == 0) store.erase(static_cast<std::uint64_t>(rng.below(6000)));
    }
  });
  run_threads(2, [&](int thread) {
    const std::string own = path() + std::to_string(thread);
    for (int round = 0; round < 20; ++round) {
      const std::uint64_t saved = store.save(own);
      // `load` refuses a user met twice.
      EXPECT_NO_THROW(EXPECT_EQ(StateStore::load(own, options_of(8)).size(), saved));
    }
  });
  stop = true;
  updates.join();
}

TEST_F(StateSnapshot, EveryTruncationIsRefused) {
  StateStore store(options_of(11));
  for (std::uint64_t user = 0; user < 5; ++user) put(store, user, user);
  store.save(path());
  const std::string whole = contents();
  ASSERT_EQ(whole.size(), 32U + 5U * 19U + 16U);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write(whole.substr(0, size));
    EXPECT_THROW(StateStore::load(path(), options_of(11)), FileError) << size;
  }
  write(whole + '\0');
  EXPECT_THROW(StateStore::load(path(), options_of(11)), FileError);
  write(whole + whole.substr(32, 19));
  EXPECT_THROW(StateStore::load(path(), options_of(11)), FileError);
  write(whole);
  EXPECT_EQ(StateStore::load(path(), options_of(11)).size(), 5U);
}

TEST_F(StateSnapshot, EveryAlteredByteIsRefused) {
  StateStore store(options_of(11));
  for (std::uint64_t user = 0; user < 5; ++user) put(store, user, user);
  store.save(path());
  const std::string whole = contents();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string altered = whole;
      altered[i] = static_cast<char>(altered[i] ^ (1 << bit));
      write(altered);
      EXPECT_THROW(StateStore::load(path(), options_of(11)), FileError) << i << ", bit " << bit;
    }
  }
}

TEST_F(StateSnapshot, OtherFilesAreRefusedByName) {
  expect_file_refused(options_of(8), "cannot open");
  write("");
  expect_file_refused(options_of(8), "at least 48 bytes, this one 0");
  write(std::string(100, 'x'));
  expect_file_refused(options_of(8), "not a snapshot");
  StateStore store(options_of(8));
  put(store, 1, 2);
  store.save(path());
  StateStoreOptions other = options_of(8);
  other.block_kind = 8;
  expect_file_refused(other, "expected 8 as the kind of the blocks, got 7");
  expect_file_refused(options_of(16), "expected 16 bytes per block, got 8");
  std::string newer = contents();
  newer[8] = 2;
  write(newer);
  expect_file_refused(options_of(8), "expected 1 as the version of the format, got 2");
  std::filesystem::remove(path());
  std::filesystem::create_directory(path());
  expect_file_refused(options_of(8), "not a regular file");
  EXPECT_THROW(store.save(path() + "/missing/states"), FileError);
}

/// Runs `work` in a child process, which `work` must end itself.
pid_t in_child(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  work();
  std::_Exit(99);
}

TEST_F(StateSnapshot, AKilledSaveLeavesTheOldFileOrTheNew) {
  constexpr std::uint64_t kUsers = 20'000;
  const auto holds_only = [&](const StateStore& store, std::uint64_t value) {
    for (std::uint64_t user = 0; user < kUsers; ++user) {
      if (get(store, user, 304) != value) return false;
    }
    return true;
  };
  StateStore store(options_of(304));
  for (std::uint64_t user = 0; user < kUsers; ++user) put(store, user, 1);
  store.save(path());
  for (std::uint64_t user = 0; user < kUsers; ++user) put(store, user, 2);
  Rng rng(static_cast<std::uint64_t>(::getpid()));
  int killed_early = 0;
  for (int round = 0; round < 20; ++round) {
    const pid_t child = in_child([&] {
      store.save(path());
      std::_Exit(0);
    });
    ASSERT_GT(child, 0);
    std::this_thread::sleep_for(std::chrono::microseconds(rng.below(15'000)));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    killed_early += WIFSIGNALED(status) ? 1 : 0;
    const StateStore back = StateStore::load(path(), options_of(304));
    ASSERT_EQ(back.size(), kUsers);
    ASSERT_TRUE(holds_only(back, 1) || holds_only(back, 2));
  }
  EXPECT_GT(killed_early, 0);
}

TEST(StateStoreReserve, WhatIsReservedHoldsUsersAsAnyOther) {
  StateStoreOptions options = options_of(304);
  options.reserve_users = 20'000;
  StateStore store(options);
  EXPECT_EQ(store.size(), 0U);
  const std::size_t taken = store.bytes();
  EXPECT_GE(taken, 20'000U * 320);
  for (std::uint64_t user = 0; user < 18'000; ++user) put(store, user, 3);
  EXPECT_EQ(store.size(), 18'000U);
  EXPECT_EQ(store.bytes(), taken) << "more was taken although it was there";
  for (std::uint64_t user = 18'000; user < 40'000; ++user) put(store, user, 3);
  EXPECT_EQ(store.size(), 40'000U);
  std::vector<std::byte> block(304);
  for (std::uint64_t user = 0; user < 40'000; ++user) ASSERT_TRUE(store.read(user, block));
}

TEST_F(StateSnapshot, AFullDiskLeavesTheOldFileAndNothingElse) {
  StateStore store(options_of(304));
  put(store, 1, 10);
  store.save(path());
  const std::string before = contents();
  for (std::uint64_t user = 0; user < 5000; ++user) put(store, user, 20);
  const pid_t child = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1'000'000, 1'000'000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) std::_Exit(2);
    try {
      store.save(path());
    } catch (const FileError& error) {
      const bool named = std::string(error.what()).find("cannot write") != std::string::npos;
      std::_Exit(named ? 0 : 3);
    }
    std::_Exit(4);
  });
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(contents(), before);
  EXPECT_EQ(files(), 1U);
  EXPECT_EQ(store.save(path()), 5000U);
}

TEST_F(StateSnapshot, AFailedSaveDoesNotSpoilTheNext) {
  StateStore store(options_of(8));
  for (std::uint64_t user = 0; user < 100; ++user) put(store, user, user);
  std::filesystem::create_directories(path() + "/taken");
  EXPECT_THROW(store.save(path()), FileError);
  EXPECT_EQ(files(), 1U);
  put(store, 100, 100);
  store.erase(0);
  EXPECT_EQ(store.save(path() + "/states"), 100U);
}

}  // namespace
}  // namespace ecseq::serving
