#include "ecseq/serving/entity_states.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "../../src/serving/pending_events.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/relation/entity_set.hpp"
#include "ecseq/relation/label_channels.hpp"
#include "edit_tensor.hpp"
#include "temporary_folder.hpp"

namespace ecseq::serving {
namespace {

using relation::EntityKey;
using relation::EntityMemory;
using relation::kNoEntity;

constexpr double kDay = 86400;
constexpr double kDelay = 4 * kDay;
constexpr double kMean = 3, kStd = 2;

relation::EntityOptions options(const std::string& by, bool set, std::int64_t max_entities = 0) {
  relation::EntityOptions out;
  out.by = by;
  out.memory = 5;
  out.windows = {kDay, 7 * kDay};
  out.half_lives = {3 * kDay};
  out.label_delay = kDelay;
  out.base_outputs = true;
  out.set = set;
  out.max_entities = max_entities;
  return out;
}

/// A relation with one key per event, whose entities may be bounded, and one with sets.
std::vector<EntityMemory> memories(Task task = Task::kBinary, std::int64_t max_entities = 0) {
  const std::vector<double> prior =
      task == Task::kMulticlass ? std::vector<double>{0.5, 0.3, 0.2} : std::vector<double>{0.3};
  return {EntityMemory(options("card", false, max_entities), prior, task),
          EntityMemory(options("product", true), prior, task)};
}

/// Events of two relations in order of time, with or without ties.
struct Stream {
  std::vector<double> times;
  std::vector<std::vector<EntityKey>> cards;     ///< [n], none or one each
  std::vector<std::vector<EntityKey>> products;  ///< [n], any number, perhaps twice
  Targets y;
  Matrix<float> base;

  Stream(Task task, std::uint64_t seed, bool ties = true, int n = 1500) {
    Rng rng(seed);
    y.task = task;
    y.n_classes = task == Task::kMulticlass ? 3 : task == Task::kBinary ? 2 : 0;
    base.resize(n, y.n_outputs());
    for (int i = 0; i < n; ++i) {
      const double eighths = 60.0 * 8 * i / n;
      times.push_back(1.7e9 + (ties ? std::floor(eighths) : eighths) * kDay / 8);
      cards.emplace_back();
      if (rng.uniform() < 0.9) cards.back().push_back(relation::entity_key(rng.below(8)));
      products.emplace_back();
      for (Index k = rng.below(4); k > 0; --k) {
        products.back().push_back(rng.uniform() < 0.1 ? kNoEntity
                                                      : relation::entity_key(rng.below(15)));
      }
      y.values.push_back(task == Task::kRegression ? static_cast<float>(kMean + rng.normal())
                                                   : static_cast<float>(rng.below(y.n_classes)));
      for (Index c = 0; c < base.cols(); ++c) base(i, c) = static_cast<float>(rng.normal());
    }
  }
  std::size_t size() const { return times.size(); }
  std::vector<std::span<const EntityKey>> entities(std::size_t i) const {
    return {cards[i], products[i]};
  }
  std::span<const float> base_row(std::size_t i) const {
    return {base.row(static_cast<Index>(i)).data(), static_cast<std::size_t>(base.cols())};
  }
};

/// What the relations say of each event, from a replay with all labels at once.
std::vector<Matrix<float>> replayed(const Stream& stream, std::int64_t max_entities = 0) {
  std::vector<EntityMemory> all = memories(stream.y.task, max_entities);
  const Matrix<float> labels = relation::label_channels(stream.y, kMean, kStd).values;
  Matrix<float> base = stream.base;
  if (stream.y.task == Task::kRegression) {
    base = (base.array() - static_cast<float>(kMean)) / static_cast<float>(kStd);
  }
  std::vector<EntityKey> keys, members;
  std::vector<Index> offsets = {0};
  for (std::size_t i = 0; i < stream.size(); ++i) {
    keys.push_back(stream.cards[i].empty() ? kNoEntity : stream.cards[i].front());
    members.insert(members.end(), stream.products[i].begin(), stream.products[i].end());
    offsets.push_back(static_cast<Index>(members.size()));
  }
  return {all[0].replay(keys, stream.times, labels, base),
          relation::replay_sets(all[1], {members, offsets}, stream.times, labels, base)};
}

std::vector<float> facts(const EntityStates& states, std::size_t relation,
                         std::span<const EntityKey> keys, double time) {
  std::vector<float> out(static_cast<std::size_t>(states.width(relation)));
  Arena scratch;
  states.facts(relation, keys, time, out.data(), scratch);
  return out;
}

bool same_bits(const std::vector<float>& a, const float* b) {
  return std::memcmp(a.data(), b, a.size() * sizeof(float)) == 0;
}

/// A service: labels come when they are known, events one by one.
class Service {
 public:
  Service(const Stream& stream, EntityStates& states) : stream_(stream), states_(&states) {}
  void goes_on_with(EntityStates& states) { states_ = &states; }

  /// The event has not been observed yet.
  void arrive(std::size_t i) {
    const double now = stream_.times[i];
    while (!waiting_.empty() && stream_.times[waiting_.front()] + kDelay <= now) {
      const std::size_t j = waiting_.front();
      waiting_.pop_front();
      EXPECT_TRUE(states_->label(id(j), static_cast<double>(stream_.y.values[j]), now));
    }
  }
  void observe(std::size_t i) {
    states_->observe(id(i), stream_.times[i], stream_.entities(i), stream_.base_row(i));
    waiting_.push_back(i);
  }
  static std::uint64_t id(std::size_t i) { return 1000 + i; }

 private:
  const Stream& stream_;
  EntityStates* states_;
  std::deque<std::size_t> waiting_;
};

class LiveFacts : public ::testing::TestWithParam<std::tuple<Task, int>> {};
INSTANTIATE_TEST_SUITE_P(All, LiveFacts,
                         ::testing::Combine(::testing::Values(Task::kBinary, Task::kMulticlass,
                                                              Task::kRegression),
                                            ::testing::Values(1, 5)));

TEST_P(LiveFacts, AreThoseOfAReplayAlsoAfterASnapshot) {
  const auto [task, shards] = GetParam();
  // One shard also forgets entities exactly as a replay does, where no two events fall together.
  const std::int64_t max_entities = shards == 1 ? 6 : 0;
  const Stream stream(task, 1, shards > 1);
  const auto want = replayed(stream, max_entities);
  const std::vector<EntityMemory> model = memories(task, max_entities);
  EntityStates states(model, task, kMean, kStd, {.shards = shards});
  ASSERT_EQ(states.width(0), want[0].cols());
  ASSERT_EQ(states.width(1), want[1].cols());
  Service service(stream, states);
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("entities");
  for (std::size_t begin = 0, end = 0; begin < stream.size(); begin = end) {
    for (; end < stream.size() && stream.times[end] == stream.times[begin]; ++end) {
      service.arrive(end);
      states.prefetch(stream.entities(end));
      for (std::size_t r = 0; r < 2; ++r) {
        ASSERT_TRUE(same_bits(facts(states, r, stream.entities(end)[r], stream.times[end]),
                              want[r].row(static_cast<Index>(end)).data()))
            << "event " << end << ", relation " << r;
      }
    }
    for (std::size_t i = begin; i < end; ++i) service.observe(i);
    if (begin < stream.size() / 2 && end >= stream.size() / 2) {
      const std::size_t pending = states.pending();
      const Index size = states.size(1);
      states.save(path);
      // Any number of shards may read it.
      states = EntityStates::load(path, model, task, kMean, kStd, {.shards = shards == 1 ? 1 : 3});
      EXPECT_EQ(states.pending(), pending);
      EXPECT_GT(pending, 0u);
      EXPECT_EQ(states.size(1), size);
      EXPECT_EQ(states.latest_time(), stream.times[begin]);
    }
  }
  EXPECT_EQ(states.staleness(stream.times.back() + 5), 5);
}

TEST(EntityStates, RememberedLabelsAreThoseOfTheMemory) {
  std::vector<EntityMemory> model = memories();
  const EntityKey key = relation::entity_key(1);
  const float label = 1, base = 0.5f;
  for (int i = 0; i < 9; ++i) model[0].observe(key, i * kDay, &label, &base);
  const EntityStates states(model, Task::kBinary, 0, 1);
  std::vector<float> got = {7}, want = {7};
  EXPECT_EQ(states.recent(0, key, 9 * kDay, got), model[0].recent(key, 9 * kDay, want));
  EXPECT_EQ(got, want);
  EXPECT_GT(got.size(), 1u);
  EXPECT_EQ(states.size(0), 1);
  EXPECT_EQ(states.latest_time(), 8 * kDay);  // what training has seen
}

TEST(EntityStates, ALabelIsTakenOnce) {
  const std::vector<EntityMemory> model = memories();
  EntityStates states(model, Task::kBinary, 0, 1);
  const std::vector<EntityKey> card = {relation::entity_key(1)};
  const std::vector<std::span<const EntityKey>> entities = {card, {}};
  const float base = 0;
  EXPECT_FALSE(states.label(1, 1, 0));  // never seen
  states.observe(1, 0, entities, {&base, 1});
  EXPECT_EQ(states.pending(), 1u);
  EXPECT_THROW(states.observe(1, 1, entities, {&base, 1}), InvalidArgument);  // waits already
  EXPECT_TRUE(states.label(1, 1, kDay));
  const auto once = facts(states, 0, card, 10 * kDay);
  EXPECT_FALSE(states.label(1, 1, 2 * kDay));
  EXPECT_EQ(facts(states, 0, card, 10 * kDay), once);
  EXPECT_EQ(states.pending(), 0u);
  states.observe(1, 11 * kDay, entities, {&base, 1});  // an id may come again
  EXPECT_TRUE(states.label(1, 0, 11 * kDay));
}

TEST(EntityStates, AFullWaitingListForgetsItsOldest) {
  const std::vector<EntityMemory> model = memories();
  EntityStates states(model, Task::kBinary, 0, 1, {.max_pending = 3});
  const std::vector<EntityKey> card = {relation::entity_key(1)};
  const std::vector<std::span<const EntityKey>> entities = {card, {}};
  const float base = 0;
  for (std::uint64_t id = 1; id <= 3; ++id) states.observe(id, 1, entities, {&base, 1});
  EXPECT_TRUE(states.label(1, 1, 1));
  states.observe(4, 1, entities, {&base, 1});
  EXPECT_EQ(states.forgotten(), 0u);  // there was a place
  states.observe(1, 1, entities, {&base, 1});
  EXPECT_EQ(states.forgotten(), 1u);
  EXPECT_EQ(states.pending(), 3u);
  EXPECT_FALSE(states.label(2, 1, 1));
  // The order survives a snapshot; one with fewer places keeps the newest.
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("entities");
  states.save(path);
  EntityStates few = EntityStates::load(path, model, Task::kBinary, 0, 1, {.max_pending = 2});
  EXPECT_EQ(few.forgotten(), 2u);
  for (EntityStates* each : {&states, &few}) {
    EXPECT_EQ(each->label(3, 1, 1), each == &states);
    EXPECT_TRUE(each->label(4, 1, 1));
    EXPECT_TRUE(each->label(1, 1, 1));
  }
  // Labelled at once, the list never fills.
  for (std::uint64_t id = 10; id < 1000; ++id) {
    states.observe(id, 2, entities, {&base, 1});
    EXPECT_TRUE(states.label(id, 0, 2));
  }
  EXPECT_EQ(states.forgotten(), 1u);
}

TEST(PendingEvents, AreThoseOfASimpleList) {
  constexpr std::size_t kMost = 200;
  PendingEvents events(kMost);
  std::deque<std::pair<std::uint64_t, double>> list;
  std::uint64_t forgotten = 0;
  Rng rng(1);
  const auto place_of = [&](std::uint64_t id) {
    return std::find_if(list.begin(), list.end(), [&](auto& each) { return each.first == id; });
  };
  // Many are taken, then few, while one stands in front for ever.
  ASSERT_TRUE(events.add(1 << 20, {0.5, {}, {}}));
  list.emplace_back(1 << 20, 0.5);
  for (int i = 0; i < 20'000; ++i) {
    const auto id = static_cast<std::uint64_t>(rng.below(500));
    const auto known = place_of(id);
    if (rng.uniform() < (i < 12'000 ? 0.5 : 0.9)) {
      ASSERT_EQ(events.add(id, {static_cast<double>(i), {}, {}}), known == list.end());
      if (known == list.end()) {
        if (list.size() == kMost) {
          list.pop_front();
          ++forgotten;
        }
        list.emplace_back(id, i);
      }
    } else {
      const auto taken = events.take(id);
      ASSERT_EQ(taken.has_value(), known != list.end());
      if (taken) {
        ASSERT_EQ(taken->time, known->second);
        list.erase(known);
      }
    }
    ASSERT_EQ(events.size(), list.size());
  }
  EXPECT_GT(forgotten, 0u);
  EXPECT_EQ(events.forgotten(), forgotten);
  auto at = list.begin();
  events.for_each([&](std::uint64_t id, const PendingEvent& event) {
    ASSERT_NE(at, list.end());
    EXPECT_EQ(id, at->first);
    EXPECT_EQ(event.time, (at++)->second);
  });
  EXPECT_EQ(at, list.end());
}

TEST(EntityStates, LabelsMayCountFromTheirArrival) {
  const std::vector<EntityMemory> model = memories();
  const std::vector<EntityKey> card = {relation::entity_key(1)};
  const std::vector<std::span<const EntityKey>> entities = {card, {}};
  const float base = 0;
  std::vector<float> rows;
  EntityStates trained(model, Task::kBinary, 0, 1);
  EntityStates at_once(model, Task::kBinary, 0, 1, {.labels_on_arrival = true});
  for (EntityStates* each : {&trained, &at_once}) {
    each->observe(1, 0, entities, {&base, 1});
    EXPECT_TRUE(each->label(1, 1, kDay));
  }
  EXPECT_EQ(trained.recent(0, card[0], 2 * kDay, rows), 0);
  EXPECT_EQ(trained.recent(0, card[0], kDelay, rows), 1);
  rows.clear();
  EXPECT_EQ(at_once.recent(0, card[0], kDay, rows), 1);
  EXPECT_NEAR(rows[1], 0, 1e-6);  // its age counts from then
}

TEST(EntityStates, BadInputIsRefusedWithoutEffect) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  const std::vector<EntityMemory> model = memories();
  EntityStates states(model, Task::kBinary, 0, 1);
  const std::vector<EntityKey> card = {relation::entity_key(1)};
  const std::vector<EntityKey> two = {relation::entity_key(1), relation::entity_key(2)};
  const std::vector<std::span<const EntityKey>> good = {card, two};
  const float base = 0, bad = static_cast<float>(nan);
  for (const double time : {nan, infinity, -infinity}) {
    EXPECT_THROW(states.observe(1, time, good, {&base, 1}), InvalidArgument);
  }
  EXPECT_THROW(states.observe(1, 0, good, {&bad, 1}), InvalidArgument);
  EXPECT_THROW(states.observe(1, 0, good, {}), InvalidArgument);
  const std::vector<std::span<const EntityKey>> swapped = {two, card};
  EXPECT_THROW(states.observe(1, 0, swapped, {&base, 1}), InvalidArgument);
  EXPECT_THROW(states.observe(1, 0, {good.data(), 1}, {&base, 1}), InvalidArgument);
  EXPECT_EQ(states.size(0), 0);
  EXPECT_EQ(states.size(1), 0);
  EXPECT_EQ(states.pending(), 0u);
  EXPECT_EQ(states.latest_time(), -infinity);
  states.observe(1, 0, good, {&base, 1});
  for (const double y : {nan, infinity, -1.0, 0.5, 2.0}) {
    EXPECT_THROW(states.label(1, y, 0), InvalidArgument) << y;
  }
  EXPECT_THROW(states.label(1, 1, nan), InvalidArgument);
  EXPECT_EQ(states.pending(), 1u);
  std::vector<float> out(static_cast<std::size_t>(states.width(1)));
  Arena scratch;
  EXPECT_THROW(states.facts(0, card, nan, out.data(), scratch), InvalidArgument);
  EXPECT_THROW(states.facts(1, two, nan, out.data(), scratch), InvalidArgument);
  EXPECT_THROW(states.facts(0, two, 0, out.data(), scratch), InvalidArgument);
  EXPECT_THROW(EntityStates(model, Task::kRegression, 0, 1), InvalidArgument);
  EXPECT_THROW(EntityStates(model, Task::kBinary, 0, 1, {.shards = 0}), InvalidArgument);
  EXPECT_THROW(EntityStates(memories(Task::kRegression), Task::kRegression, 0, 0), InvalidArgument);
  EXPECT_TRUE(states.label(1, 1, 0));
}

TEST(EntityStates, AFileOfAnotherConfigurationIsRefused) {
  const std::vector<EntityMemory> model = memories(Task::kRegression);
  EntityStates states(model, Task::kRegression, kMean, kStd);
  const std::vector<EntityKey> card = {relation::entity_key(1)};
  const std::vector<std::span<const EntityKey>> entities = {card, card};
  const float base = 0;
  states.observe(1, 0, entities, {&base, 1});
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("entities");
  states.save(path);
  const auto load = [&](const std::vector<EntityMemory>& with, double mean) {
    return EntityStates::load(path, with, Task::kRegression, mean, kStd);
  };
  EXPECT_EQ(load(model, kMean).pending(), 1u);
  EXPECT_THROW(load(model, kMean + 1), FileError);
  EXPECT_THROW(load({model[0]}, kMean), FileError);
  EXPECT_THROW(load({model[1], model[0]}, kMean), FileError);
  const io::TensorFile good = io::read_file(path);
  const auto refused = [&](auto change) {
    io::TensorFile bad = good;
    bad.metadata.erase("checksum");
    change(bad);
    io::write_file(bad, path);
    EXPECT_THROW(load(model, kMean), FileError);
  };
  refused([](io::TensorFile& f) { f.metadata["kind"] = "something else"; });
  refused([](io::TensorFile& f) { f.metadata.erase("configuration"); });
  refused([](io::TensorFile& f) { f.integers["pending.ids"].push_back(1); });
  refused([](io::TensorFile& f) { f.integers["pending.words"][0] = 1 << 20; });
  refused([](io::TensorFile& f) { f.integers["pending.words"][0] = -1; });
  refused([](io::TensorFile& f) { f.integers["pending.words"].push_back(0); });
  refused([](io::TensorFile& f) { f.doubles["pending.times"][0] = std::nan(""); });
  refused([](io::TensorFile& f) { f.doubles["latest_time"][0] = std::nan(""); });
  refused([](io::TensorFile& f) { testing::set(f.floats["pending.base"], 0, 0, std::nanf("")); });
  refused([](io::TensorFile& f) { f.floats.erase("pending.base"); });
  refused([](io::TensorFile& f) { f.integers["relation.1.keys"][0] = 0; });
  EXPECT_THROW(EntityStates::load("/nowhere/states", model, Task::kRegression, kMean, kStd),
               FileError);
}

TEST(EntityStates, ThreadsWithEntitiesOfTheirOwnGiveTheStateOfOne) {
  constexpr std::size_t kThreads = 4;
  constexpr std::uint64_t kEvents = 600;
  const std::vector<EntityMemory> model = memories();
  const auto events_of = [&](EntityStates& states, std::uint64_t thread) {
    Rng rng(thread);
    std::vector<float> out(static_cast<std::size_t>(states.width(1)));
    Arena scratch;
    const auto id = [&](std::uint64_t i) { return thread * kEvents + i; };
    for (std::uint64_t i = 0; i < kEvents; ++i) {
      const auto key = [&] {
        return relation::entity_key(static_cast<std::int64_t>(thread) * 100 + rng.below(9));
      };
      const std::vector<EntityKey> card = {key()}, products = {key(), key()};
      const std::vector<std::span<const EntityKey>> entities = {card, products};
      const double time = static_cast<double>(i) * kDay / 20;
      const auto base = static_cast<float>(rng.normal());
      states.prefetch(entities);
      scratch.reset();
      states.facts(0, card, time, out.data(), scratch);
      states.facts(1, products, time, out.data(), scratch);
      states.observe(id(i), time, entities, {&base, 1});
      if (i < 80) continue;
      EXPECT_TRUE(states.label(id(i - 80), rng.uniform() < 0.4, time));
    }
  };
  EntityStates serial(model, Task::kBinary, 0, 1);
  for (std::uint64_t t = 0; t < kThreads; ++t) events_of(serial, t);
  EntityStates states(model, Task::kBinary, 0, 1);
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("entities");
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] { events_of(states, t); });
  }
  // Snapshots, and readers of entities that others change, in between.
  std::vector<float> out(static_cast<std::size_t>(states.width(1)));
  Arena scratch;
  for (int i = 0; i < 20; ++i) {
    if (i % 5 == 0) states.save(path);
    const std::vector<EntityKey> keys = {relation::entity_key(100 * (i % 4)),
                                         relation::entity_key(100 * (i % 4) + 1)};
    states.facts(1, keys, 1e9, out.data(), scratch);
    EXPECT_LE(states.size(0), 36);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(states.pending(), serial.pending());
  EXPECT_EQ(states.latest_time(), serial.latest_time());
  const double time = 40 * kDay;
  for (std::size_t t = 0; t < kThreads; ++t) {
    for (int k = 0; k < 9; ++k) {
      const std::vector<EntityKey> key = {
          relation::entity_key(static_cast<std::int64_t>(t) * 100 + k)};
      for (const std::size_t r : {0, 1}) {
        EXPECT_EQ(facts(states, r, key, time), facts(serial, r, key, time));
      }
    }
  }
}

TEST(EventId, DependsOnUserAndTime) {
  std::set<std::uint64_t> ids;
  for (std::uint64_t user = 0; user < 100; ++user) {
    for (int i = 0; i < 100; ++i) ids.insert(event_id(user, 1.7e9 + i * 0.001));
  }
  EXPECT_EQ(ids.size(), 10'000u);
  EXPECT_EQ(event_id(7, 1.5), event_id(7, 1.5));
}

}  // namespace
}  // namespace ecseq::serving
