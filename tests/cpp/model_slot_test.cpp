#include "ecseq/serving/model_slot.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "expect_refused.hpp"

namespace ecseq::serving {
namespace {

/// A model whose parts all say which version it is, until it is destroyed.
struct Version {
  explicit Version(int n) : parts(50, n) {}
  Version(const Version&) = delete;
  Version& operator=(const Version&) = delete;
  ~Version() {
    for (int& part : parts) part = -1;
  }
  /// -1 where the parts disagree.
  int number() const {
    for (const int part : parts) {
      if (part != parts[0]) return -1;
    }
    return parts[0];
  }
  std::vector<int> parts;
};

using Slot = ModelSlot<Version>;

std::shared_ptr<const Version> version(int n) { return std::make_shared<const Version>(n); }

TEST(ModelSlot, HoldsWhatWasPutLast) {
  Slot slot(version(0));
  EXPECT_EQ(slot.current()->number(), 0);
  for (int n = 1; n < 100; ++n) {
    slot.replace(version(n));
    EXPECT_EQ(slot.current()->number(), n);
    EXPECT_EQ((*slot.current()).number(), n);
  }
}

TEST(ModelSlot, WhatIsReplacedLivesWhileItIsPinnedAndNotLonger) {
  auto first = version(0);
  const std::weak_ptr<const Version> watched = first;
  Slot slot(std::move(first));
  {
    Slot::Pinned one = slot.current();
    const Slot::Pinned other = slot.current();
    slot.replace(version(1));
    EXPECT_EQ(slot.collect(), 1U);
    EXPECT_EQ(one->number(), 0);
    {
      const Slot::Pinned moved = std::move(one);
      EXPECT_EQ(moved->number(), 0);
    }
    EXPECT_EQ(slot.collect(), 1U);
    EXPECT_FALSE(watched.expired());
    EXPECT_EQ(other->number(), 0);
  }
  EXPECT_EQ(slot.collect(), 0U);
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(slot.current()->number(), 1);
}

TEST(ModelSlot, WhatNobodyHasPinnedGoesAtOnce) {
  auto first = version(0);
  const std::weak_ptr<const Version> watched = first;
  Slot slot(std::move(first));
  EXPECT_EQ(slot.current()->number(), 0);
  slot.replace(version(1));
  EXPECT_TRUE(watched.expired());
}

TEST(ModelSlot, APinCanBeReplacedByALaterOne) {
  auto first = version(0);
  const std::weak_ptr<const Version> watched = first;
  Slot slot(std::move(first));
  Slot::Pinned pinned = slot.current();
  slot.replace(version(1));
  pinned = slot.current();
  EXPECT_EQ(pinned->number(), 1);
  EXPECT_EQ(slot.collect(), 0U);
  EXPECT_TRUE(watched.expired());
  pinned = std::move(pinned);
  EXPECT_EQ(pinned->number(), 1);
}

TEST(ModelSlot, DestroysWhatItHolds) {
  auto first = version(0);
  const std::weak_ptr<const Version> watched = first;
  {
    const Slot slot(std::move(first));
    EXPECT_EQ(slot.current()->number(), 0);
  }
  EXPECT_TRUE(watched.expired());
}

TEST(ModelSlot, AMakeThatFailsLeavesTheOldOne) {
  Slot slot(version(3));
  EXPECT_THROW(slot.replace_with([]() -> std::shared_ptr<const Version> {
    throw std::runtime_error("no such file");
  }),
               std::runtime_error);
  EXPECT_EQ(slot.current()->number(), 3);
  slot.replace_with([&] { return version(slot.current()->number() + 1); });
  EXPECT_EQ(slot.current()->number(), 4);
}

TEST(ModelSlot, NullIsRefused) {
  const std::string message = "ModelSlot: expected an object, got null";
  testing::expect_refused([] { Slot(nullptr); }, message);
  Slot slot(version(1));
  testing::expect_refused([&] { slot.replace(nullptr); }, message);
  testing::expect_refused([&] { slot.replace_with([] { return nullptr; }); }, message);
  EXPECT_EQ(slot.current()->number(), 1);
}

TEST(ModelSlot, AWriterWaitsWhileEverySlotIsPinned) {
  Slot slot(version(0));
  std::vector<Slot::Pinned> pins;
  for (int n = 1; n < static_cast<int>(Slot::kSlots); ++n) {
    pins.push_back(slot.current());
    slot.replace(version(n));
  }
  pins.push_back(slot.current());
  for (int n = 0; n < static_cast<int>(Slot::kSlots); ++n) {
    EXPECT_EQ(pins[static_cast<std::size_t>(n)]->number(), n);
  }
  std::atomic<bool> replaced{false};
  std::thread writer([&] {
    slot.replace(version(100));
    replaced = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(replaced);
  EXPECT_EQ(slot.current()->number(), static_cast<int>(Slot::kSlots) - 1);
  pins.erase(pins.begin() + 7);
  writer.join();
  EXPECT_EQ(slot.current()->number(), 100);
  EXPECT_EQ(pins[0]->number(), 0);
}

TEST(ModelSlot, ReadersSeeWholeVersionsInOrder) {
  constexpr int kVersions = 3000;
  Slot slot(version(0));
  std::atomic<int> started{0};
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 4; ++reader) {
    readers.emplace_back([&] {
      ++started;
      int seen = 0;
      std::vector<Slot::Pinned> held;
      for (int turn = 0; seen < kVersions; ++turn) {
        Slot::Pinned pinned = slot.current();
        const int number = pinned->number();
        ASSERT_GE(number, seen);
        seen = number;
        // Some are held for longer than a replacement takes.
        if (turn % 3 == 0) held.push_back(std::move(pinned));
        if (held.size() > 4) {
          for (const Slot::Pinned& old : held) ASSERT_GE(old->number(), 0);
          held.clear();
        }
      }
    });
  }
  while (started < 4) std::this_thread::yield();
  std::vector<std::weak_ptr<const Version>> watched;
  for (int n = 1; n <= kVersions; ++n) {
    auto next = version(n);
    watched.push_back(next);
    if (n % 2 == 0) {
      slot.replace(std::move(next));
    } else {
      slot.replace_with([&] { return std::move(next); });
    }
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(slot.collect(), 0U);
  watched.pop_back();
  for (const auto& old : watched) EXPECT_TRUE(old.expired());
  EXPECT_EQ(slot.current()->number(), kVersions);
}

TEST(ModelSlot, SeveralWritersLoseNoVersion) {
  Slot slot(version(0));
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&] {
      for (int n = 0; n < 200; ++n) {
        slot.replace_with([&] { return version(slot.current()->number() + 1); });
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(slot.current()->number(), 600);
}

}  // namespace
}  // namespace ecseq::serving
