// The bound on the number of entities, remembered rows, and the edges of time and labels.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/relation/entity_memory.hpp"

namespace {

using namespace ecseq;
using namespace ecseq::relation;

constexpr double kDay = 86400;

EntityOptions options(std::int64_t max_entities, bool timed = true) {
  EntityOptions out;
  out.by = "device";
  out.windows = {7 * kDay, std::numeric_limits<double>::infinity()};
  out.half_lives = {5 * kDay};
  out.label_delay = timed ? kDay : 0;
  out.base_outputs = true;
  out.timed = timed;
  out.max_entities = max_entities;
  return out;
}

struct Stream {
  std::vector<EntityKey> keys;
  std::vector<double> times;
  Matrix<float> labels;
  Matrix<float> base;

  Stream(std::uint64_t seed, Index n, Index entities) {
    Rng rng(seed);
    labels.resize(n, 1);
    base.resize(n, 1);
    for (Index i = 0; i < n; ++i) {
      keys.push_back(rng.uniform() < 0.05 ? kNoEntity : entity_key(rng.below(entities)));
      times.push_back(static_cast<double>(rng.below(400)) * kDay / 8);
      labels(i, 0) = rng.uniform() < 0.3 ? 1.0f : 0.0f;
      base(i, 0) = static_cast<float>(rng.normal());
    }
  }
  Index size() const { return labels.rows(); }
};

Matrix<float> at(const EntityMemory& memory, EntityKey key, double time) {
  Matrix<float> out(1, memory.n_features());
  memory.features(key, time, out.data());
  return out;
}

TEST(EntityBound, KeepsThoseWithTheLatestEvents) {
  EntityMemory memory(options(3), {0.3});
  const float label = 1, base = 0;
  for (int i = 0; i < 5; ++i) memory.observe(entity_key(i), i * kDay, &label, &base);
  EXPECT_EQ(memory.size(), 3);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(memory.knows(entity_key(i)), i >= 2) << i;
  // An event, not a query, keeps an entity.
  at(memory, entity_key(2), 9 * kDay);
  memory.observe(entity_key(3), 5 * kDay, &label, &base);
  memory.observe(entity_key(9), 6 * kDay, &label, &base);
  EXPECT_FALSE(memory.knows(entity_key(2)));
  EXPECT_TRUE(memory.knows(entity_key(3)));
  // An entity that comes with an event older than all others' is itself the one to go.
  memory.observe(entity_key(7), kDay, &label, &base);
  EXPECT_FALSE(memory.knows(entity_key(7)));
  EXPECT_EQ(memory.size(), 3);
}

TEST(EntityBound, OneThatReturnsWasNeverSeen) {
  EntityMemory memory(options(1), {0.3});
  EntityMemory fresh(options(1), {0.3});
  const float label = 1, base = 0;
  for (int i = 0; i < 100; ++i) memory.observe(entity_key(1), i * kDay, &label, &base);
  memory.observe(entity_key(2), 101 * kDay, &label, &base);
  EXPECT_EQ(at(memory, entity_key(1), 110 * kDay), at(memory, kNoEntity, 110 * kDay));
  for (EntityMemory* each : {&memory, &fresh}) {
    each->observe(entity_key(1), 120 * kDay, &label, &base);
  }
  EXPECT_EQ(at(memory, entity_key(1), 130 * kDay), at(fresh, entity_key(1), 130 * kDay));
}

TEST(EntityBound, ReplayIsThatOfSingleEvents) {
  const Stream stream(1, 3000, 40);
  EntityMemory memory(options(12), {0.3});
  const Matrix<float> got = memory.replay(stream.keys, stream.times, stream.labels, stream.base, 2);
  EXPECT_EQ(memory.size(), 12);

  // The rule, one moment at a time: a memory of every entity, of which the oldest are dropped.
  std::vector<Index> order(static_cast<std::size_t>(stream.size()));
  std::iota(order.begin(), order.end(), Index{0});
  const auto time = [&](Index i) { return stream.times[static_cast<std::size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return time(a) < time(b); });
  std::map<EntityKey, EntityMemory> kept;
  const EntityMemory nobody(options(0), {0.3});
  bool forgot = false;
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    for (; end < order.size() && time(order[end]) == time(order[begin]); ++end) {
      const Index i = order[end];
      const EntityKey key = stream.keys[static_cast<std::size_t>(i)];
      const auto known = kept.find(key);
      EXPECT_EQ(at(known == kept.end() ? nobody : known->second, key, time(i)), got.row(i));
    }
    for (std::size_t j = begin; j < end; ++j) {
      const Index i = order[j];
      const EntityKey key = stream.keys[static_cast<std::size_t>(i)];
      if (key == kNoEntity) continue;
      kept.try_emplace(key, nobody)
          .first->second.observe(key, time(i), stream.labels.row(i).data(),
                                 stream.base.row(i).data());
    }
    while (kept.size() > 12) {
      const auto oldest = std::min_element(kept.begin(), kept.end(), [](auto& a, auto& b) {
        return std::pair(a.second.latest_time(), a.first) <
               std::pair(b.second.latest_time(), b.first);
      });
      kept.erase(oldest);
      forgot = true;
    }
  }
  EXPECT_TRUE(forgot);
  for (const auto& [key, alone] : kept) EXPECT_TRUE(memory.knows(key));
}

TEST(EntityBound, HoldsAfterSavingAndWithoutTimes) {
  const Stream stream(2, 1000, 40);
  for (const bool timed : {true, false}) {
    EntityMemory memory(options(10, timed), {0.3});
    if (timed) {
      memory.replay(stream.keys, stream.times, stream.labels, stream.base);
    } else {
      // All 40 are left out of their own rows before the number is cut down.
      const Matrix<float> got = memory.leave_one_out(stream.keys, stream.labels);
      EntityMemory all(options(0, timed), {0.3});
      EXPECT_EQ(got, all.leave_one_out(stream.keys, stream.labels));
    }
    EXPECT_EQ(memory.size(), 10);
    io::TensorFile file;
    memory.save(file, "e.");
    EntityMemory loaded = EntityMemory::load(file, "e.");
    const float label = 1, base = 0;
    for (int i = 0; i < 60; i += 3) {
      for (EntityMemory* each : {&memory, &loaded}) {
        each->observe(entity_key(i), (60 + i) * kDay, &label, &base);
      }
      for (int k = 0; k < 60; ++k) {
        ASSERT_EQ(memory.knows(entity_key(k)), loaded.knows(entity_key(k))) << k;
      }
    }
    EXPECT_EQ(loaded.size(), 10);
  }
}

TEST(RememberedRows, AreTheLastKnownLabels) {
  EntityOptions some = options(0);
  some.memory = 3;
  EntityMemory memory(some, {0.3});
  const EntityKey key = entity_key("t");
  for (int i = 0; i < 6; ++i) {
    const float label = i % 2 == 0 ? 1.0f : 0.0f, base = static_cast<float>(i);
    memory.observe(key, i * kDay, &label, &base);
  }
  std::vector<float> rows;
  // Day 5.5: the label of day 4 is known since day 5, that of day 5 is not.
  ASSERT_EQ(memory.recent(key, 5.5 * kDay, rows), 3);
  ASSERT_EQ(memory.n_recent_columns(), 3);
  const auto age = [](double days) { return static_cast<float>(std::log1p(days)); };
  const std::vector<float> want = {1, age(2.5), 2, 0, age(1.5), 3, 1, age(0.5), 4};
  ASSERT_EQ(rows.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_FLOAT_EQ(rows[i], want[i]) << i;
  EXPECT_EQ(memory.recent(entity_key("other"), 5 * kDay, rows), 0);
  EXPECT_EQ(rows.size(), want.size());
}

TEST(RememberedRows, OfAReplayAreThoseOfEachMoment) {
  for (const std::int64_t bound : {0, 15}) {
    const Stream stream(3, 800, 20);
    EntityMemory memory(options(bound), {0.3});
    EntityMemory::Extras extras;
    extras.with_recent = true;
    const Matrix<float> features =
        memory.replay(stream.keys, stream.times, stream.labels, stream.base, 2, &extras);
    EntityMemory plain(options(bound), {0.3});
    EXPECT_EQ(features, plain.replay(stream.keys, stream.times, stream.labels, stream.base));
    ASSERT_EQ(extras.offsets.size(), stream.keys.size() + 1);

    std::vector<Index> order(stream.keys.size());
    std::iota(order.begin(), order.end(), Index{0});
    const auto time = [&](Index i) { return stream.times[static_cast<std::size_t>(i)]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return time(a) < time(b); });
    EntityMemory live(options(bound), {0.3});
    for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
      Matrix<float> labels, base;
      std::vector<EntityKey> keys;
      std::vector<double> times;
      std::vector<Index> moment;
      for (; end < order.size() && time(order[end]) == time(order[begin]); ++end) {
        moment.push_back(order[end]);
      }
      for (const Index i : moment) {
        const auto row = static_cast<std::size_t>(i);
        std::vector<float> rows;
        const Index count = live.recent(stream.keys[row], time(i), rows);
        ASSERT_EQ(count, extras.offsets[row + 1] - extras.offsets[row]);
        ASSERT_TRUE(std::equal(rows.begin(), rows.end(),
                               extras.recent.data() + extras.offsets[row] * extras.recent.cols()));
        keys.push_back(stream.keys[row]);
        times.push_back(time(i));
      }
      live.replay(keys, times, take_rows<float>(stream.labels, moment),
                  take_rows<float>(stream.base, moment));
    }
  }
}

TEST(EntityTime, PendingLabelsSayNothing) {
  EntityOptions late = options(0);
  late.label_delay = 1000 * kDay;
  Stream stream(4, 500, 5);
  EntityMemory memory(late, {0.3});
  const Matrix<float> got = memory.replay(stream.keys, stream.times, stream.labels, stream.base);
  stream.labels = 1.0f - stream.labels.array();
  EntityMemory other(late, {0.3});
  EXPECT_EQ(other.replay(stream.keys, stream.times, stream.labels, stream.base), got);
  const auto names = memory.feature_names();
  bool compared = false;
  for (std::size_t j = 0; j < names.size(); ++j) {
    if (names[j].find("label") == std::string::npos) continue;
    compared = true;
    EXPECT_EQ(got.col(static_cast<Index>(j)).cwiseAbs().maxCoeff(), 0.0f) << names[j];
  }
  EXPECT_TRUE(compared);
}

TEST(EntityTime, EventsOutOfOrderAreExactOrRefused) {
  // A batch earlier than what was observed, but within the longest window: as if in order.
  const Stream stream(5, 200, 3);
  const auto shifted = [&](double by) {
    std::vector<double> times = stream.times;
    for (double& time : times) time += by;
    return times;
  };
  EntityOptions wide = options(0);
  wide.windows = {500 * kDay};
  EntityMemory memory(wide, {0.3});
  memory.replay(stream.keys, shifted(60 * kDay), stream.labels, stream.base);
  const Matrix<float> late = memory.replay(stream.keys, shifted(0), stream.labels, stream.base);
  EntityMemory alone(wide, {0.3});
  EXPECT_EQ(late, alone.replay(stream.keys, shifted(0), stream.labels, stream.base));
  alone.replay(stream.keys, shifted(60 * kDay), stream.labels, stream.base);
  for (int k = 0; k < 3; ++k) {
    EXPECT_TRUE(at(memory, entity_key(k), 200 * kDay)
                    .isApprox(at(alone, entity_key(k), 200 * kDay), 1e-5f));
  }
  // With a short window the past is folded: refused, and nothing has changed.
  EntityMemory narrow(options(0), {0.3});
  const Stream many(6, 2000, 3);
  narrow.replay(many.keys, many.times, many.labels, many.base);
  const Matrix<float> before = at(narrow, entity_key(1), 60 * kDay);
  EXPECT_THROW(narrow.replay(many.keys, many.times, many.labels, many.base), InvalidArgument);
  EXPECT_EQ(at(narrow, entity_key(1), 60 * kDay), before);
}

TEST(EntityBase, IsRequiredAndFinite) {
  EntityMemory memory(options(0), {0.3});
  const float label = 1, nan = std::nanf("");
  EXPECT_THROW(memory.observe(1, 0, &label), InvalidArgument);
  EXPECT_THROW(memory.observe(1, 0, &label, &nan), InvalidArgument);
  EXPECT_NO_THROW(memory.observe(1, 0, nullptr));  // without label nothing is remembered of it
  const Stream stream(7, 5, 2);
  EXPECT_THROW(memory.replay(stream.keys, stream.times, stream.labels), InvalidArgument);
  Matrix<float> bad = stream.base;
  bad(3, 0) = nan;
  try {
    memory.replay(stream.keys, stream.times, stream.labels, bad);
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_NE(std::string(error.what()).find("base, row 3"), std::string::npos) << error.what();
  }
  EXPECT_EQ(memory.size(), 1);
  EntityOptions changed = options(0);
  changed.max_entities = -1;
  EXPECT_THROW(EntityMemory(changed, {0.3}), InvalidArgument);
  for (const double half_life : {0.0, -1.0, std::numeric_limits<double>::infinity()}) {
    changed = options(0);
    changed.half_lives = {half_life};
    EXPECT_THROW(EntityMemory(changed, {0.3}), InvalidArgument);
  }
  changed.half_lives = {5, 5};
  EXPECT_THROW(EntityMemory(changed, {0.3}), InvalidArgument);
}

}  // namespace
