// Labels that come after their events, and a memory in parts.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/relation/entity_memory.hpp"

namespace {

using namespace ecseq;
using namespace ecseq::relation;

constexpr double kDay = 86400;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Kind {
  std::string name;
  Task task;
  std::vector<double> prior;
  std::vector<double> half_lives;
  bool base;
  std::int64_t max_entities;
};

EntityMemory memory_of(const Kind& kind) {
  EntityOptions options;
  options.by = "terminal";
  options.memory = 6;
  options.windows = {kDay, 7 * kDay, kInfinity};
  options.half_lives = kind.half_lives;
  options.label_delay = 5 * kDay;
  options.base_outputs = kind.base;
  options.max_entities = kind.max_entities;
  return {options, kind.prior, kind.task};
}

/// In order of time, without ties.
struct Stream {
  std::vector<EntityKey> keys;
  std::vector<double> times;
  Matrix<float> labels;
  Matrix<float> base;

  Stream(const Kind& kind, std::uint64_t seed, Index n = 3000) {
    Rng rng(seed);
    const auto channels = static_cast<Index>(kind.prior.size());
    labels = Matrix<float>::Zero(n, channels);
    base.resize(n, channels);
    for (Index i = 0; i < n; ++i) {
      keys.push_back(rng.uniform() < 0.05 ? kNoEntity : entity_key(rng.below(12)));
      times.push_back(100 * kDay * (static_cast<double>(i) + rng.uniform()) / n);
      if (kind.task == Task::kRegression) {
        labels(i, 0) = static_cast<float>(rng.normal());
      } else if (kind.task == Task::kBinary) {
        labels(i, 0) = rng.uniform() < 0.3 ? 1.0f : 0.0f;
      } else {
        labels(i, rng.below(channels)) = 1.0f;
      }
      for (Index c = 0; c < channels; ++c) base(i, c) = static_cast<float>(rng.normal());
    }
  }
  Index size() const { return labels.rows(); }
};

Matrix<float> at(const EntityMemory& memory, EntityKey key, double time) {
  Matrix<float> out(1, memory.n_features());
  memory.features(key, time, out.data());
  return out;
}

bool same_bits(const Matrix<float>& a, const Matrix<float>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) == 0;
}

std::vector<Kind> kinds() {
  return {{"binary", Task::kBinary, {0.3}, {}, false, 0},
          {"base", Task::kBinary, {0.3}, {3 * kDay, 20 * kDay}, true, 0},
          {"regression", Task::kRegression, {0.1}, {9 * kDay}, true, 0},
          {"classes", Task::kMulticlass, {0.5, 0.3, 0.2}, {}, true, 0}};
}

std::string name_of(const testing::TestParamInfo<Kind>& kind) { return kind.param.name; }

class LateLabels : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(All, LateLabels, testing::ValuesIn(kinds()), name_of);
INSTANTIATE_TEST_SUITE_P(Bounded, LateLabels,
                         testing::Values(Kind{"binary", Task::kBinary, {0.3}, {}, true, 5}),
                         name_of);
/// Of entities that are never forgotten.
class VeryLateLabels : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(All, VeryLateLabels, testing::ValuesIn(kinds()), name_of);

TEST_P(LateLabels, GiveTheFeaturesOfLabelsAtOnceFromWhenTheyAreKnown) {
  const Stream stream(GetParam(), 1);
  EntityMemory whole = memory_of(GetParam());
  const Matrix<float> want = whole.replay(stream.keys, stream.times, stream.labels, stream.base);
  EntityMemory live = memory_of(GetParam());
  const double delay = live.options().label_delay;
  Rng rng(2);
  std::vector<Index> waiting;
  for (Index i = 0; i < stream.size(); ++i) {
    const auto row = static_cast<std::size_t>(i);
    const double now = stream.times[row];
    // Those that are due, in any order.
    const auto due = std::partition(waiting.begin(), waiting.end(), [&](Index j) {
      return stream.times[static_cast<std::size_t>(j)] + delay > now;
    });
    const std::vector<Index> known(due, waiting.end());
    waiting.erase(due, waiting.end());
    for (const Index j : rng.permutation(static_cast<Index>(known.size()))) {
      const Index k = known[static_cast<std::size_t>(j)];
      live.label(stream.keys[static_cast<std::size_t>(k)],
                 stream.times[static_cast<std::size_t>(k)], stream.labels.row(k).data(),
                 stream.base.row(k).data());
    }
    live.prefetch_index(stream.keys[row]);
    live.prefetch_entity(stream.keys[row]);
    ASSERT_TRUE(same_bits(at(live, stream.keys[row], now), want.row(i))) << "row " << i;
    live.observe(stream.keys[row], now, nullptr);
    if (stream.keys[row] != kNoEntity) waiting.push_back(i);
  }
  EXPECT_LT(live.retained(), whole.size() * 2 * 120);  // folding has happened in between
}

TEST_P(VeryLateLabels, MayAllComeAfterTheLastEvent) {
  const Stream stream(GetParam(), 3);
  EntityMemory whole = memory_of(GetParam());
  whole.replay(stream.keys, stream.times, stream.labels, stream.base);
  EntityMemory live = memory_of(GetParam());
  for (std::size_t i = 0; i < stream.keys.size(); ++i) {
    live.observe(stream.keys[i], stream.times[i], nullptr);
  }
  Rng rng(4);
  for (const Index i : rng.permutation(stream.size())) {
    const auto row = static_cast<std::size_t>(i);
    EXPECT_EQ(live.label(stream.keys[row], stream.times[row], stream.labels.row(i).data(),
                         stream.base.row(i).data()),
              stream.keys[row] != kNoEntity);
  }
  // Sums of numbers that are not whole depend on their order in the last bit.
  const bool whole_numbers = GetParam().task != Task::kRegression && GetParam().half_lives.empty();
  for (int k = 0; k < 12; ++k) {
    for (const double later : {0.0, 3.5, 40.0}) {
      const double time = whole.latest_time() + later * kDay;
      const Matrix<float> got = at(live, entity_key(k), time);
      const Matrix<float> want = at(whole, entity_key(k), time);
      if (whole_numbers) {
        EXPECT_TRUE(same_bits(got, want)) << k << ", " << later;
      } else {
        EXPECT_LT((got - want).cwiseAbs().maxCoeff(), 1e-5f) << k << ", " << later;
      }
    }
  }
}

TEST(EntityLabel, OfAnEventThatIsNotRememberedIsRefused) {
  EntityMemory memory = memory_of({"", Task::kBinary, {0.3}, {}, false, 2});
  const float label = 1, half = 2;
  EXPECT_FALSE(memory.label(entity_key(1), 0, &label));
  memory.observe(entity_key(1), 10, nullptr);
  EXPECT_FALSE(memory.label(entity_key(1), 11, &label));  // there was no such event
  EXPECT_FALSE(memory.label(kNoEntity, 10, &label));
  EXPECT_THROW(memory.label(entity_key(1), 10, nullptr), InvalidArgument);
  EXPECT_THROW(memory.label(entity_key(1), 10, &half), InvalidArgument);
  EXPECT_THROW(memory.label(entity_key(1), std::nan(""), &label), InvalidArgument);
  EXPECT_THROW(memory.label(entity_key(1), 10, &label, nullptr, kInfinity), InvalidArgument);
  EXPECT_EQ(memory.retained(), 1);
  memory.observe(entity_key(2), 20, nullptr);
  memory.observe(entity_key(3), 30, nullptr);  // the first is forgotten
  EXPECT_FALSE(memory.label(entity_key(1), 10, &label));
  memory.observe(entity_key(1), 40, nullptr);  // and returns as if never seen
  EXPECT_FALSE(memory.label(entity_key(1), 10, &label));
  EXPECT_TRUE(memory.label(entity_key(1), 40, &label));
  EXPECT_EQ(memory.retained(), 3);
}

TEST(EntityLabel, MayBeKnownFromAnyMoment) {
  EntityMemory memory = memory_of({"", Task::kBinary, {0.3}, {}, false, 0});
  const EntityKey key = entity_key(1);
  const float label = 1;
  const double event = 1.7e9 + 0.123, now = event + 1.7 * kDay;
  memory.observe(key, event, nullptr);
  ASSERT_TRUE(memory.label(key, event, &label, nullptr, now));
  std::vector<float> rows;
  EXPECT_EQ(memory.recent(key, std::nextafter(now, 0), rows), 0);
  ASSERT_EQ(memory.recent(key, now, rows), 1);  // although the delay is five days
  EXPECT_NEAR(rows[1], 0, 1e-6);
  ASSERT_EQ(memory.recent(key, now + 3 * kDay, rows), 1);
  EXPECT_FLOAT_EQ(rows[3], static_cast<float>(std::log1p(3)));
}

TEST(EntityLabel, UntimedCountsAtOnce) {
  EntityOptions options;
  options.timed = false;
  EntityMemory live(options, {0.3}), whole(options, {0.3});
  const float label = 1;
  live.observe(entity_key(1), 0, nullptr);
  EXPECT_TRUE(live.label(entity_key(1), 0, &label));
  whole.observe(entity_key(1), 0, &label);
  EXPECT_TRUE(same_bits(at(live, entity_key(1), 0), at(whole, entity_key(1), 0)));
}

TEST(EntityParts, AreTheWholeTogether) {
  const Kind kind{"", Task::kBinary, {0.3}, {3 * kDay}, true, 0};
  const Stream stream(kind, 5);
  EntityMemory whole = memory_of(kind);
  whole.replay(stream.keys, stream.times, stream.labels, stream.base);
  const auto part = [](EntityKey key) { return key % 3; };
  const std::vector<EntityMemory> parts = whole.split(3, part);
  Index entities = 0;
  for (const EntityMemory& memory : parts) entities += memory.size();
  EXPECT_EQ(entities, whole.size());
  for (int k = 0; k < 13; ++k) {
    const EntityKey key = entity_key(k);
    EXPECT_TRUE(same_bits(at(parts[part(key)], key, 101 * kDay), at(whole, key, 101 * kDay)));
  }
  io::TensorFile of_whole, of_parts;
  whole.save(of_whole, "e.");
  const std::vector<const EntityMemory*> pointers = {&parts[0], &parts[1], &parts[2]};
  parts[0].save_parts(pointers, 0, of_parts, "e.");
  EXPECT_EQ(io::to_bytes(of_parts), io::to_bytes(of_whole));
}

}  // namespace
