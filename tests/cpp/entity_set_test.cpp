#include "ecseq/relation/entity_set.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "ecseq/core/rng.hpp"

namespace {

using namespace ecseq;
using namespace ecseq::relation;

constexpr double kDay = 86400;

EntityOptions options(bool timed) {
  EntityOptions out;
  out.by = "product";
  out.set = true;
  out.timed = timed;
  out.windows = {std::numeric_limits<double>::infinity()};
  out.label_delay = timed ? kDay : 0;
  out.base_outputs = timed;
  return out;
}

/// Rows with sets of 0 to 4 ids, some of them twice or kNoEntity.
struct Rows {
  std::vector<EntityKey> ids;
  std::vector<Index> offsets{0};
  std::vector<double> times;
  Matrix<float> labels;
  Matrix<float> base;

  explicit Rows(std::uint64_t seed, Index n = 200, Index entities = 20) {
    Rng rng(seed);
    labels.resize(n, 1);
    base.resize(n, 1);
    for (Index i = 0; i < n; ++i) {
      const Index length = rng.below(5);
      for (Index j = 0; j < length; ++j) {
        ids.push_back(rng.uniform() < 0.1 ? kNoEntity : entity_key(rng.below(entities)));
      }
      if (length > 2) ids.back() = ids[ids.size() - 2];
      offsets.push_back(static_cast<Index>(ids.size()));
      times.push_back(static_cast<double>(rng.below(60)) * kDay / 2);
      labels(i, 0) = rng.uniform() < 0.4 ? 1.0f : 0.0f;
      base(i, 0) = static_cast<float>(rng.normal());
    }
  }
  Index size() const { return labels.rows(); }
  std::set<EntityKey> members(Index row) const {
    const auto at = static_cast<std::size_t>(row);
    std::set<EntityKey> out(ids.begin() + offsets[at], ids.begin() + offsets[at + 1]);
    out.erase(kNoEntity);
    return out;
  }
  EntitySets sets() const { return {ids, offsets}; }
};

Index column(const EntityMemory& memory, const std::string& name) {
  const auto names = set_feature_names(memory);
  const auto at = std::find(names.begin(), names.end(), name);
  EXPECT_NE(at, names.end()) << name;
  return static_cast<Index>(at - names.begin());
}

TEST(EntitySets, HoldEachEntityOnce) {
  const std::vector<EntityKey> ids = {5, 3, 5, kNoEntity, kNoEntity, 7};
  const std::vector<Index> offsets = {0, 3, 3, 5, 6};
  const EntitySets sets(ids, offsets);
  EXPECT_EQ(sets.keys, (std::vector<EntityKey>{3, 5, 7}));
  EXPECT_EQ(sets.offsets, (std::vector<Index>{0, 2, 2, 2, 3}));
}

TEST(EntitySets, LeaveOneOutIsNaiveBayesWithoutTheRowItself) {
  const Rows rows(1, 200, 150);  // some entities are of one row alone
  const double p = 0.4;
  EntityMemory memory(options(false), {p});
  const Matrix<float> got = leave_one_out_sets(memory, rows.sets(), rows.labels, 2);
  ASSERT_EQ(got.cols(), set_feature_count(memory));
  const Index sum = column(memory, "sum of evidence"), mean = column(memory, "mean evidence");
  const Index smallest = column(memory, "smallest evidence");
  const Index largest = column(memory, "largest of label rate");
  const Index count = column(memory, "members"),
              unknown = column(memory, "share without known label");
  bool any_unknown = false;
  for (Index i = 0; i < rows.size(); ++i) {
    double want = 0, least = 0, most = 0, unlabelled = 0;
    const auto members = rows.members(i);
    bool first = true;
    for (const EntityKey key : members) {
      double n = 0, s = 0;
      for (Index other = 0; other < rows.size(); ++other) {
        if (other == i || rows.members(other).count(key) == 0) continue;
        ++n;
        s += static_cast<double>(rows.labels(other, 0));
      }
      unlabelled += n == 0;
      // The prior counts as 2 labels: log P(entity | 1) / P(entity | 0).
      const double evidence = std::log((s + 2 * p) / (n - s + 2 * (1 - p))) - std::log(p / (1 - p));
      const double rate = (s - n * p) / (n + 2);
      want += evidence;
      least = first ? evidence : std::min(least, evidence);
      most = first ? rate : std::max(most, rate);
      first = false;
    }
    const auto size = static_cast<double>(members.size());
    EXPECT_NEAR(got(i, sum), want, 1e-5);
    EXPECT_NEAR(got(i, mean), members.empty() ? 0 : want / size, 1e-5);
    EXPECT_NEAR(got(i, smallest), least, 1e-5);
    EXPECT_NEAR(got(i, largest), most, 1e-5);
    EXPECT_NEAR(got(i, count), std::log1p(size), 1e-6);
    EXPECT_NEAR(got(i, unknown), members.empty() ? 0 : unlabelled / size, 1e-6);
    any_unknown = any_unknown || unlabelled > 0;
  }
  EXPECT_TRUE(any_unknown);
  Rows changed = rows;
  changed.labels(7, 0) = 1 - changed.labels(7, 0);
  EntityMemory other(options(false), {p});
  const Matrix<float> after = leave_one_out_sets(other, changed.sets(), changed.labels);
  EXPECT_EQ(after.row(7), got.row(7));
  EXPECT_NE(after, got);
}

TEST(EntitySets, ReplayAggregatesWhatEachMemberWasKnownFor) {
  const Rows rows(2);
  EntityMemory memory(options(true), {0.4});
  const Matrix<float> got = replay_sets(memory, rows.sets(), rows.times, rows.labels, rows.base, 2);
  for (Index i = 0; i < rows.size(); ++i) {
    // A memory that has seen what happened before the row's moment, and nothing else.
    const double now = rows.times[static_cast<std::size_t>(i)];
    EntityMemory past(options(true), {0.4});
    std::vector<Index> order;
    for (Index j = 0; j < rows.size(); ++j) {
      if (rows.times[static_cast<std::size_t>(j)] < now) order.push_back(j);
    }
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
      return rows.times[static_cast<std::size_t>(a)] < rows.times[static_cast<std::size_t>(b)];
    });
    for (const Index j : order) {
      for (const EntityKey key : rows.members(j)) {
        past.observe(key, rows.times[static_cast<std::size_t>(j)], rows.labels.row(j).data(),
                     rows.base.row(j).data());
      }
    }
    const auto members = rows.members(i);
    const std::vector<EntityKey> ids(members.begin(), members.end());
    const std::vector<Index> offsets = {0, static_cast<Index>(ids.size())};
    const std::vector<double> time = {now};
    EXPECT_EQ(set_features(past, {ids, offsets}, time), got.row(i)) << "row " << i;
  }
}

TEST(EntitySets, OtherRowsOfTheBatchChangeNoBit) {
  const Rows rows(3);
  EntityMemory memory(options(true), {0.4});
  replay_sets(memory, rows.sets(), rows.times, rows.labels, rows.base);
  const std::vector<double> now(static_cast<std::size_t>(rows.size()), 100 * kDay);
  const Matrix<float> all = set_features(memory, rows.sets(), now, 2);
  for (Index i = 0; i < rows.size(); ++i) {
    const auto members = rows.members(i);
    const std::vector<EntityKey> ids(members.begin(), members.end());
    const std::vector<Index> offsets = {0, static_cast<Index>(ids.size())};
    EXPECT_EQ(set_features(memory, {ids, offsets}, std::vector<double>{100 * kDay}), all.row(i));
  }
}

TEST(EntitySets, AnEmptySetIsOneNeverSeen) {
  const Rows rows(4);
  EntityMemory memory(options(false), {0.4});
  leave_one_out_sets(memory, rows.sets(), rows.labels);
  const std::vector<Index> empty = {0, 0};
  const Matrix<float> got = set_features(memory, {{}, empty}, {});
  EXPECT_EQ(got, Matrix<float>::Zero(1, set_feature_count(memory)));
}

}  // namespace
