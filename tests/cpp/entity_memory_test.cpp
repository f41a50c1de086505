#include "ecseq/relation/entity_memory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"
#include "edit_tensor.hpp"

namespace {

using namespace ecseq;
using namespace ecseq::relation;

constexpr double kDay = 86400;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Stream {
  std::vector<EntityKey> keys;
  std::vector<double> times;
  Matrix<float> labels;
  Matrix<float> base;  ///< the base model's outputs

  Index size() const { return static_cast<Index>(keys.size()); }
  Stream rows(const std::vector<Index>& which) const {
    Stream out;
    for (const Index i : which) {
      out.keys.push_back(keys[static_cast<std::size_t>(i)]);
      out.times.push_back(times[static_cast<std::size_t>(i)]);
    }
    out.labels = take_rows<float>(labels, which);
    out.base = take_rows<float>(base, which);
    return out;
  }
};

/// Random rows in random order: ties, missing labels, missing entities.
Stream random_stream(std::uint64_t seed, Index n, Index entities, Task task, Index channels,
                     double days) {
  Rng rng(seed);
  Stream out;
  out.labels = Matrix<float>::Zero(n, channels);
  out.base.resize(n, channels);
  for (Index i = 0; i < n; ++i) {
    for (Index c = 0; c < channels; ++c) out.base(i, c) = static_cast<float>(2 * rng.normal() - 1);
    out.keys.push_back(rng.uniform() < 0.05 ? kNoEntity : entity_key(rng.below(entities)));
    // A coarse grid makes ties, also between an event and the edge of a window or of the delay.
    out.times.push_back(static_cast<double>(rng.below(static_cast<Index>(days * 8))) * kDay / 8);
    if (task == Task::kRegression) {
      out.labels(i, 0) = static_cast<float>(rng.normal());
    } else if (task == Task::kBinary) {
      out.labels(i, 0) = rng.uniform() < 0.3 ? 1.0f : 0.0f;
    } else {
      out.labels(i, rng.below(channels)) = 1.0f;
    }
    if (rng.uniform() < 0.1) out.labels.row(i).setConstant(kNan);
  }
  return out;
}

/// The definition, one row at a time, from a list of all events.
class Reference {
 public:
  Reference(EntityOptions options, std::vector<double> prior, Task task)
      : options_(std::move(options)), prior_(std::move(prior)), task_(task) {}

  std::vector<double> features(const Stream& stream, EntityKey key, double t) const {
    const auto channels = static_cast<Index>(prior_.size());
    std::vector<Index> order;
    for (Index i = 0; i < stream.size(); ++i) {
      if (key != kNoEntity && stream.keys[static_cast<std::size_t>(i)] == key) order.push_back(i);
    }
    const auto time = [&](Index i) { return stream.times[static_cast<std::size_t>(i)]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return time(a) < time(b); });
    std::vector<Index> seen;
    std::vector<Index> known;
    for (const Index i : order) {
      if (!(time(i) < t)) continue;
      seen.push_back(i);
      if (time(i) + options_.label_delay <= t && !std::isnan(stream.labels(i, 0))) {
        known.push_back(i);
      }
    }
    const auto rate = [&](const std::vector<Index>& rows, Index c) {
      const double a = options_.prior_strength;
      const double p = prior_[static_cast<std::size_t>(c)];
      const double n = static_cast<double>(rows.size());
      double sum = 0;
      for (const Index i : rows) sum += static_cast<double>(stream.labels(i, c));
      return (sum + a * p) / (n + a) - p;
    };
    const auto filter = [&](const std::vector<Index>& rows, auto keep) {
      std::vector<Index> out;
      std::copy_if(rows.begin(), rows.end(), std::back_inserter(out), keep);
      return out;
    };
    const auto log_count = [](const std::vector<Index>& rows) {
      return std::log1p(static_cast<double>(rows.size()));
    };

    std::vector<double> out;
    double unit = kDay;
    for (const double w : options_.windows) {
      unit = std::min(unit, w);
      const auto events = filter(seen, [&](Index i) { return time(i) >= t - w; });
      const auto labels =
          filter(known, [&](Index i) { return time(i) >= t - options_.label_delay - w; });
      out.push_back(log_count(events));
      out.push_back(log_count(labels));
      for (Index c = 0; c < channels; ++c) out.push_back(rate(labels, c));
    }
    for (const double half_life : options_.half_lives) {
      const auto weight = [&](double age) { return std::exp2(-age / half_life); };
      double events = 0;
      double count = 0;
      std::vector<double> sums(prior_.size(), 0.0);
      for (const Index i : seen) events += weight(t - time(i));
      for (const Index i : known) {
        const double w = weight(t - options_.label_delay - time(i));
        count += w;
        for (Index c = 0; c < channels; ++c) {
          sums[static_cast<std::size_t>(c)] += w * static_cast<double>(stream.labels(i, c));
        }
      }
      out.push_back(std::log1p(events));
      out.push_back(std::log1p(count));
      for (std::size_t c = 0; c < sums.size(); ++c) {
        out.push_back((sums[c] + options_.prior_strength * prior_[c]) /
                          (count + options_.prior_strength) -
                      prior_[c]);
      }
    }
    const auto newest = [&](std::size_t n) {
      return std::vector<Index>(
          known.end() - static_cast<std::ptrdiff_t>(std::min(n, known.size())), known.end());
    };
    const auto m = static_cast<std::size_t>(options_.memory);
    for (const std::size_t n : {std::size_t{1}, std::size_t{3}, std::size_t{6}}) {
      for (Index c = 0; n < m && c < channels; ++c) out.push_back(rate(newest(n), c));
    }
    const std::vector<Index> memory = newest(m);
    for (Index c = 0; c < channels; ++c) out.push_back(rate(memory, c));
    for (const int young : {1, 3, 7, 14, 30}) {
      const auto rows = filter(
          memory, [&](Index i) { return t - time(i) < options_.label_delay + young * unit; });
      for (Index c = 0; c < channels; ++c) out.push_back(rate(rows, c));
    }
    const auto log_age = [&](double age, double scale) {
      return std::log1p(scale * std::min(age / unit, 365.0));
    };
    for (Index c = 0; task_ != Task::kRegression && c < channels; ++c) {
      double last_positive = kInfinity;
      double last_negative = kInfinity;
      double oldest_positive = 0;
      int positives = 0;
      std::vector<double> run;  // ages of the labels of one kind at the end
      bool of_positives = false;
      for (const Index i : memory) {
        const double age = t - time(i);
        const bool positive = stream.labels(i, c) >= 0.5f;
        if (positive) {
          last_positive = std::min(last_positive, age);
          oldest_positive = std::max(oldest_positive, age);
          ++positives;
        } else {
          last_negative = std::min(last_negative, age);
        }
        if (positive != of_positives) run.clear();
        of_positives = positive;
        run.push_back(age);
      }
      const auto share = [&](double age) { return std::min(age / unit, 60.0) / 60; };
      out.push_back(log_age(last_positive, 1));
      out.push_back(log_age(last_negative, 1));
      out.push_back(log_age(oldest_positive, 1));
      out.push_back(std::log1p(positives));
      const auto length = static_cast<double>(run.size());
      out.push_back(of_positives ? std::log1p(length) : 0);
      out.push_back(of_positives ? 0 : std::log1p(length));
      out.push_back(of_positives ? share(run.front()) : 0);
      out.push_back(share(last_negative));
    }
    out.push_back(log_count(memory));
    for (Index c = 0; options_.base_outputs && c < channels; ++c) {
      std::vector<double> of_positives;
      double smallest = kInfinity;  // since the last negative
      double beyond = 0;
      for (const Index i : memory) {
        beyond += static_cast<double>(stream.labels(i, c)) - expected(stream, i, c);
        if (stream.labels(i, c) >= 0.5f) {
          of_positives.push_back(static_cast<double>(stream.base(i, c)));
          smallest = std::min(smallest, of_positives.back());
        } else {
          smallest = kInfinity;
        }
      }
      const double p = prior_[static_cast<std::size_t>(c)];
      const double expected_of_all = std::log(p / (1 - p));
      if (of_positives.empty()) of_positives = {expected_of_all};
      if (task_ != Task::kRegression) {
        out.push_back(*std::max_element(of_positives.begin(), of_positives.end()));
        out.push_back(std::accumulate(of_positives.begin(), of_positives.end(), 0.0) /
                      static_cast<double>(of_positives.size()));
        out.push_back(of_positives.back());
        out.push_back(std::isinf(smallest) ? expected_of_all : smallest);
      }
      out.push_back(beyond / (static_cast<double>(memory.size()) + options_.prior_strength));
    }
    out.push_back(log_age(seen.empty() ? kInfinity : t - time(seen.back()), 24));
    return out;
  }

 private:
  /// What the base says of channel c: a probability, or a value.
  double expected(const Stream& stream, Index i, Index c) const {
    const auto base = stream.base.row(i).cast<double>();
    if (task_ == Task::kRegression) return base[c];
    if (task_ == Task::kBinary) return 1 / (1 + std::exp(-base[c]));
    return std::exp(base[c]) / base.array().exp().sum();
  }

  EntityOptions options_;
  std::vector<double> prior_;
  Task task_;
};

struct Setting {
  std::string name;
  EntityOptions options;
  std::vector<double> prior;
  Task task;
};

Setting setting(std::string name, Task task, std::vector<double> prior, int memory,
                std::vector<double> windows, double delay) {
  EntityOptions options;
  options.by = "terminal_id";
  options.memory = memory;
  options.windows = std::move(windows);
  options.label_delay = delay;
  return {std::move(name), options, std::move(prior), task};
}

Setting with_base(Setting s, std::vector<double> half_lives) {
  s.options.half_lives = std::move(half_lives);
  s.options.base_outputs = true;
  return s;
}

std::vector<Setting> settings() {
  return {
      setting("binary", Task::kBinary, {0.3}, 24, {kDay, 7 * kDay, 30 * kDay, kInfinity}, 7 * kDay),
      setting("no_delay", Task::kBinary, {0.01}, 5, {kInfinity, 2 * kDay}, 0),
      setting("small_memory", Task::kBinary, {0.3}, 1, {3600}, kDay),
      setting("no_windows", Task::kBinary, {0.3}, 3, {}, 2 * kDay),
      setting("regression", Task::kRegression, {0.1}, 8, {kDay, 14 * kDay, kInfinity}, 3 * kDay),
      setting("classes", Task::kMulticlass, {0.5, 0.3, 0.2}, 7, {7 * kDay, kInfinity}, 1.5 * kDay),
      with_base(setting("base_binary", Task::kBinary, {0.3}, 24, {7 * kDay}, 7 * kDay),
                {3 * kDay, 60 * kDay}),
      with_base(setting("base_regression", Task::kRegression, {0.1}, 8, {kDay, kInfinity}, kDay),
                {20 * kDay}),
      with_base(setting("base_classes", Task::kMulticlass, {0.5, 0.3, 0.2}, 7, {7 * kDay}, 0),
                {10 * kDay}),
  };
}

Stream stream_for(const Setting& s, std::uint64_t seed, Index n = 1500, Index entities = 6,
                  double days = 200) {
  return random_stream(seed, n, entities, s.task, static_cast<Index>(s.prior.size()), days);
}

Matrix<float> replay(EntityMemory& memory, const Stream& stream, int threads = 1) {
  return memory.replay(stream.keys, stream.times, stream.labels, stream.base, threads);
}

bool same_bits(const Matrix<float>& a, const Matrix<float>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         (a.size() == 0 ||
          std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) == 0);
}

Matrix<float> at(const EntityMemory& memory, EntityKey key, double time) {
  Matrix<float> out(1, memory.n_features());
  memory.features(key, time, out.data());
  return out;
}

class EntityMemoryKinds : public ::testing::TestWithParam<Setting> {};
INSTANTIATE_TEST_SUITE_P(All, EntityMemoryKinds, ::testing::ValuesIn(settings()),
                         [](const auto& setting_info) { return setting_info.param.name; });

TEST_P(EntityMemoryKinds, ReplayEqualsTheDefinition) {
  const Setting& s = GetParam();
  const Stream stream = stream_for(s, 1);
  EntityMemory memory(s.options, s.prior, s.task);
  const Matrix<float> got = replay(memory, stream);
  const Reference reference(s.options, s.prior, s.task);
  ASSERT_EQ(got.rows(), stream.size());
  for (Index i = 0; i < stream.size(); ++i) {
    const auto row = static_cast<std::size_t>(i);
    const auto want = reference.features(stream, stream.keys[row], stream.times[row]);
    ASSERT_EQ(static_cast<Index>(want.size()), got.cols());
    for (Index j = 0; j < got.cols(); ++j) {
      ASSERT_NEAR(got(i, j), want[static_cast<std::size_t>(j)], 1e-5)
          << "row " << i << ", " << memory.feature_names()[static_cast<std::size_t>(j)];
      ASSERT_TRUE(std::isfinite(got(i, j)));
      ASSERT_LT(std::abs(got(i, j)), 25);
    }
  }
  // Afterwards, at and long after the latest event.
  for (const double t : {memory.latest_time(), memory.latest_time() + 3.3 * kDay,
                         memory.latest_time() + 1000 * kDay}) {
    for (const EntityKey key : {entity_key(0), entity_key(3), entity_key(99), kNoEntity}) {
      const auto want = reference.features(stream, key, t);
      const Matrix<float> x = at(memory, key, t);
      for (Index j = 0; j < x.cols(); ++j) {
        ASSERT_NEAR(x(0, j), want[static_cast<std::size_t>(j)], 1e-5) << t;
      }
    }
  }
}

TEST_P(EntityMemoryKinds, ObservingInAnyOrderGivesTheSameFeatures) {
  const Setting& s = GetParam();
  // Times without ties: equal times keep the order of observation.
  Stream stream = stream_for(s, 2);
  Rng rng(5);
  for (double& time : stream.times) time += rng.uniform() * 1e3;
  const Reference reference(s.options, s.prior, s.task);
  EntityMemory memory(s.options, s.prior, s.task);
  for (const Index i : rng.permutation(stream.size())) {
    memory.observe(stream.keys[static_cast<std::size_t>(i)],
                   stream.times[static_cast<std::size_t>(i)], stream.labels.row(i).data(),
                   stream.base.row(i).data());
  }
  for (Index e = 0; e < 6; ++e) {
    for (const double later : {0.0, 0.5 * kDay, 9 * kDay}) {
      const double t = memory.latest_time() + later;
      const auto want = reference.features(stream, entity_key(e), t);
      const Matrix<float> got = at(memory, entity_key(e), t);
      for (Index j = 0; j < got.cols(); ++j) {
        ASSERT_NEAR(got(0, j), want[static_cast<std::size_t>(j)], 1e-5)
            << memory.feature_names()[static_cast<std::size_t>(j)];
      }
    }
  }
}

TEST_P(EntityMemoryKinds, TheFutureChangesNoBit) {
  const Setting& s = GetParam();
  const Stream stream = stream_for(s, 3);
  EntityMemory memory(s.options, s.prior, s.task);
  const Matrix<float> before = replay(memory, stream);
  Rng rng(11);
  for (int trial = 0; trial < 20; ++trial) {
    const double t = stream.times[static_cast<std::size_t>(rng.below(stream.size()))];
    // Every label that is not known at t, and every event at or after t, becomes another one.
    Stream other = stream;
    for (Index i = 0; i < stream.size(); ++i) {
      const auto row = static_cast<std::size_t>(i);
      const bool future = stream.times[row] >= t;
      if (future || stream.times[row] + s.options.label_delay > t) {
        if (!std::isnan(other.labels(i, 0))) {
          for (Index c = 0; c < other.labels.cols(); ++c) {
            other.labels(i, c) = 1.0f - other.labels(i, c);
            other.base(i, c) += 3.0f;
          }
        }
      }
      if (future) {
        if (rng.uniform() < 0.5) other.times[row] = t + kDay * 0.125 * rng.below(50);
        if (rng.uniform() < 0.3) other.keys[row] = entity_key(rng.below(8));
        if (rng.uniform() < 0.3) other.labels.row(i).setConstant(kNan);
      }
    }
    EntityMemory changed(s.options, s.prior, s.task);
    const Matrix<float> after = replay(changed, other);
    for (Index i = 0; i < stream.size(); ++i) {
      const auto row = static_cast<std::size_t>(i);
      if (other.times[row] > t || other.keys[row] != stream.keys[row]) continue;
      if (stream.times[row] > t) continue;
      ASSERT_TRUE(same_bits(before.row(i), after.row(i))) << "row " << i << " at " << t;
    }
  }
}

TEST_P(EntityMemoryKinds, HalvesAndSingleEventsEqualOneReplay) {
  const Setting& s = GetParam();
  const Stream stream = stream_for(s, 4);
  EntityMemory whole(s.options, s.prior, s.task);
  const Matrix<float> want = replay(whole, stream);

  // The cut goes through a group of equal times.
  std::vector<Index> order(static_cast<std::size_t>(stream.size()));
  std::iota(order.begin(), order.end(), Index{0});
  const auto time = [&](Index i) { return stream.times[static_cast<std::size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return time(a) < time(b); });
  auto cut = order.begin() + stream.size() / 2;
  while (time(*cut) != time(*(cut - 1))) ++cut;
  const std::vector<Index> first(order.begin(), cut);
  const std::vector<Index> second(cut, order.end());
  EntityMemory halves(s.options, s.prior, s.task);
  EXPECT_TRUE(same_bits(replay(halves, stream.rows(first)), take_rows<float>(want, first)));
  EXPECT_TRUE(same_bits(replay(halves, stream.rows(second)), take_rows<float>(want, second)));

  EntityMemory live(s.options, s.prior, s.task);
  for (const Index i : order) {
    const auto row = static_cast<std::size_t>(i);
    EXPECT_TRUE(same_bits(at(live, stream.keys[row], stream.times[row]), want.row(i)));
    live.observe(stream.keys[row], stream.times[row], stream.labels.row(i).data(),
                 stream.base.row(i).data());
  }
  EXPECT_EQ(live.latest_time(), whole.latest_time());
  EXPECT_EQ(live.size(), whole.size());
}

TEST_P(EntityMemoryKinds, ThreadsDoNotChangeABit) {
  const Setting& s = GetParam();
  const Stream stream = stream_for(s, 6, 4000, 300, 60);
  EntityMemory one(s.options, s.prior, s.task);
  EntityMemory two(s.options, s.prior, s.task);
  EXPECT_TRUE(same_bits(replay(one, stream, 1), replay(two, stream, 2)));
}

TEST_P(EntityMemoryKinds, SavedAndLoadedGivesTheSameBits) {
  const Setting& s = GetParam();
  const Stream stream = stream_for(s, 7);
  EntityMemory memory(s.options, s.prior, s.task);
  replay(memory, stream);
  io::TensorFile file;
  memory.save(file, "entity.0.");
  for (const auto& [name, values] : file.doubles) EXPECT_EQ(name.rfind("entity.0.", 0), 0u);
  const io::TensorFile read = io::from_bytes(io::to_bytes(file), "memory");
  EntityMemory loaded = EntityMemory::load(read, "entity.0.");
  EXPECT_EQ(loaded.options().by, s.options.by);
  EXPECT_EQ(loaded.feature_names(), memory.feature_names());
  EXPECT_EQ(loaded.latest_time(), memory.latest_time());
  EXPECT_EQ(loaded.size(), memory.size());
  // Both go on alike.
  Stream later = stream_for(s, 8);
  for (double& time : later.times) time += memory.latest_time();
  EXPECT_TRUE(same_bits(replay(loaded, later), replay(memory, later)));
  io::TensorFile again;
  io::TensorFile other;
  memory.save(again, "x");
  loaded.save(other, "x");
  EXPECT_TRUE(io::to_bytes(again) == io::to_bytes(other));
}

TEST_P(EntityMemoryKinds, MemoryIsBounded) {
  const Setting& s = GetParam();
  EntityMemory memory(s.options, s.prior, s.task);
  const Index channels = static_cast<Index>(s.prior.size());
  const Matrix<float> label = Matrix<float>::Zero(1, channels);
  Index most = 0;
  for (int i = 0; i < 100'000; ++i) {
    memory.observe(entity_key(1), i * kDay / 4, label.data(), label.data());
    most = std::max(most, memory.retained());
  }
  double longest = 0;
  for (const double w : s.options.windows) longest = std::isinf(w) ? longest : std::max(longest, w);
  const double reach = 4 * (longest + s.options.label_delay) / kDay + s.options.memory + 40;
  EXPECT_LT(static_cast<double>(most), 4 * reach);
  const double t = memory.latest_time() + 1;
  const auto names = memory.feature_names();
  const Matrix<float> x = at(memory, entity_key(1), t);
  for (std::size_t j = 0; j < names.size(); ++j) {
    if (names[j] == "events in all history") {
      EXPECT_NEAR(x(0, static_cast<Index>(j)), std::log1p(1e5), 1e-5);
    }
  }
}

TEST_P(EntityMemoryKinds, LateLabelsBeyondTheFoldCountInTheTotals) {
  const Setting& s = GetParam();
  EntityMemory memory(s.options, s.prior, s.task);
  Stream seen;
  const Index channels = static_cast<Index>(s.prior.size());
  Rng rng(3);
  const auto observe = [&](double time) {
    Matrix<float> label = Matrix<float>::Constant(1, channels, rng.uniform() < 0.5 ? 1.0f : 0.0f);
    memory.observe(entity_key(1), time, label.data(), label.data());
    seen.keys.push_back(entity_key(1));
    seen.times.push_back(time);
    Matrix<float> all(seen.size(), channels);
    if (seen.labels.rows() > 0) all.topRows(seen.size() - 1) = seen.labels;
    all.row(seen.size() - 1) = label;
    seen.labels = all;
    seen.base = all;
  };
  for (int i = 0; i < 500; ++i) observe(1000 * kDay + i * kDay / 2);
  for (int i = 0; i < 60; ++i) observe((1250 - 21 * i) * kDay + 1234);
  const double t = memory.latest_time();
  const auto want = Reference(s.options, s.prior, s.task).features(seen, entity_key(1), t);
  const Matrix<float> got = at(memory, entity_key(1), t);
  for (Index j = 0; j < got.cols(); ++j) {
    EXPECT_NEAR(got(0, j), want[static_cast<std::size_t>(j)], 1e-5)
        << memory.feature_names()[static_cast<std::size_t>(j)];
  }
  // A replay of the folded past could not be exact any more.
  const std::vector<EntityKey> keys = {entity_key(2), entity_key(1)};
  const std::vector<double> times = {0.0, 0.0};
  const Matrix<float> labels = Matrix<float>::Zero(2, channels);
  EXPECT_THROW(memory.replay(keys, times, labels, labels), InvalidArgument);
  EXPECT_FALSE(memory.knows(entity_key(2)));
}

TEST(EntityMemory, UntimedLeavesEachRowOut) {
  for (const Task task : {Task::kBinary, Task::kRegression, Task::kMulticlass}) {
    const std::vector<double> prior =
        task == Task::kMulticlass ? std::vector<double>{0.6, 0.4} : std::vector<double>{0.3};
    const auto channels = static_cast<Index>(prior.size());
    EntityOptions options;
    options.timed = false;
    EntityMemory memory(options, prior, task);
    std::map<EntityKey, std::vector<std::vector<float>>> history;
    for (const std::uint64_t seed : {1, 2}) {  // the second batch sees the first one too
      const Stream stream = random_stream(seed, 400, 12, task, channels, 10);
      for (Index i = 0; i < stream.size(); ++i) {
        const float* row = stream.labels.row(i).data();
        history[stream.keys[static_cast<std::size_t>(i)]].emplace_back(row, row + channels);
      }
      const Matrix<float> got = memory.leave_one_out(stream.keys, stream.labels, 2);
      for (Index i = 0; i < stream.size(); ++i) {
        const EntityKey key = stream.keys[static_cast<std::size_t>(i)];
        const bool own = !std::isnan(stream.labels(i, 0));
        double events = 0;
        double count = 0;
        std::vector<double> sum(prior.size(), 0.0);
        if (key != kNoEntity) {
          for (const auto& label : history[key]) {
            ++events;
            if (std::isnan(label[0])) continue;
            ++count;
            for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += static_cast<double>(label[c]);
          }
          --events;
          count -= own;
        }
        EXPECT_NEAR(got(i, 0), std::log1p(events), 1e-5);
        EXPECT_NEAR(got(i, 1), std::log1p(count), 1e-5);
        for (Index c = 0; c < channels; ++c) {
          const auto channel = static_cast<std::size_t>(c);
          const double others =
              sum[channel] -
              (own && key != kNoEntity ? static_cast<double>(stream.labels(i, c)) : 0);
          const double q = (others + 2 * prior[channel]) / (count + 2);
          const double p = prior[channel];
          EXPECT_NEAR(got(i, 2 + c), q - p, 1e-5);
        }
      }
    }
    io::TensorFile file;
    memory.save(file, "e.");
    const EntityMemory loaded = EntityMemory::load(file, "e.");
    EXPECT_TRUE(same_bits(at(loaded, entity_key(3), 0), at(memory, entity_key(3), 0)));
    EXPECT_EQ(loaded.latest_time(), -kInfinity);
  }
}

TEST(EntityMemory, OwnLabelDoesNotReachTheRowLeftOut) {
  EntityOptions options;
  options.timed = false;
  const std::vector<EntityKey> keys = {1, 1, 1, 2};
  Matrix<float> labels(4, 1);
  labels << 1, 0, 1, 1;
  EntityMemory a(options, {0.3});
  const Matrix<float> before = a.leave_one_out(keys, labels);
  labels(0, 0) = 0;
  labels(3, 0) = 0;
  EntityMemory b(options, {0.3});
  const Matrix<float> after = b.leave_one_out(keys, labels);
  EXPECT_TRUE(same_bits(before.row(0), after.row(0)));
  EXPECT_TRUE(same_bits(before.row(3), after.row(3)));
  EXPECT_FALSE(same_bits(before.row(1), after.row(1)));
}

TEST(EntityMemory, UnknownEntitiesHaveThePrior) {
  const Setting s = settings()[0];
  EntityMemory memory(s.options, s.prior, s.task);
  const float label = 1;
  memory.observe(kNoEntity, 5, &label);
  EXPECT_EQ(memory.size(), 0);
  EXPECT_EQ(memory.latest_time(), -kInfinity);
  memory.observe(entity_key("shop"), 5, &label);
  EXPECT_TRUE(memory.knows(entity_key("shop")));
  EXPECT_FALSE(memory.knows(entity_key("other")));
  const Matrix<float> x = at(memory, entity_key("other"), 100 * kDay);
  EXPECT_TRUE(same_bits(x, at(memory, kNoEntity, 7)));
  const auto names = memory.feature_names();
  for (Index j = 0; j < x.cols(); ++j) {
    const std::string& name = names[static_cast<std::size_t>(j)];
    if (name == "days since last positive" || name == "days since last negative") {
      EXPECT_FLOAT_EQ(x(0, j), static_cast<float>(std::log1p(365.0)));
    } else if (name == "share of 60 days since last negative") {
      EXPECT_EQ(x(0, j), 1.0f);
    } else if (name == "hours since last event") {
      EXPECT_FLOAT_EQ(x(0, j), static_cast<float>(std::log1p(24 * 365.0)));
    } else {
      EXPECT_EQ(x(0, j), 0.0f) << name;
    }
  }
}

TEST(EntityMemory, NamesReadAsWords) {
  const Setting s = settings()[0];
  const EntityMemory memory(s.options, s.prior, s.task);
  const auto names = memory.feature_names();
  EXPECT_EQ(static_cast<Index>(names.size()), memory.n_features());
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  for (const std::string want :
       {"events in 7 days", "known labels in 1 day", "label rate in all history",
        "label rate in last label", "label rate in last 3 labels", "days since last positive",
        "label rate in memory, known for less than 14 days", "hours since last event"}) {
    EXPECT_EQ(std::count(names.begin(), names.end(), want), 1) << want;
  }
  const Setting small = settings()[2];
  const auto hours = EntityMemory(small.options, small.prior, small.task).feature_names();
  EXPECT_EQ(hours.front(), "events in 1 hour");
  EXPECT_EQ(std::count(hours.begin(), hours.end(), "hours since last positive"), 1);
  const Setting classes = settings()[5];
  const auto several = EntityMemory(classes.options, classes.prior, classes.task).feature_names();
  EXPECT_EQ(std::count(several.begin(), several.end(), "label rate of class 2 in 7 days"), 1);
}

TEST(EntityMemory, BadInputIsRefusedBeforeAnyWork) {
  const Setting s = settings()[0];
  const auto build = [&](auto change, std::vector<double> prior = {0.1},
                         Task task = Task::kBinary) {
    EntityOptions options = s.options;
    change(options);
    return EntityMemory(options, std::move(prior), task);
  };
  const auto same = [](EntityOptions&) {};
  EXPECT_NO_THROW(build(same));
  EXPECT_THROW(build([](auto& o) { o.memory = 0; }), InvalidArgument);
  EXPECT_THROW(build([](auto& o) { o.label_delay = -1; }), InvalidArgument);
  EXPECT_THROW(build([](auto& o) { o.label_delay = kInfinity; }), InvalidArgument);
  EXPECT_THROW(build([](auto& o) { o.label_delay = std::nan(""); }), InvalidArgument);
  EXPECT_THROW(build([](auto& o) { o.prior_strength = 0; }), InvalidArgument);
  EXPECT_THROW(build([](auto& o) { o.windows = {0}; }), InvalidArgument);
  EXPECT_THROW(build([](auto& o) { o.windows = {std::nan("")}; }), InvalidArgument);
  EXPECT_THROW(build([](auto& o) { o.windows = {5, 5}; }), InvalidArgument);
  EXPECT_THROW(build(same, {}), InvalidArgument);
  EXPECT_THROW(build(same, {0.1, 0.2}), InvalidArgument);
  EXPECT_THROW(build(same, {0.1}, Task::kMulticlass), InvalidArgument);
  EXPECT_THROW(build(same, {1.5}), InvalidArgument);
  EXPECT_THROW(build(same, {std::nan("")}, Task::kRegression), InvalidArgument);
  EXPECT_NO_THROW(build(same, {0.0}));
  EXPECT_NO_THROW(build(same, {-3.0}, Task::kRegression));

  EntityMemory memory = build(same);
  const float good = 1;
  const float bad = 2;
  EXPECT_THROW(memory.observe(1, kNan, &good), InvalidArgument);
  EXPECT_THROW(memory.observe(1, 0, &bad), InvalidArgument);
  std::vector<float> out(static_cast<std::size_t>(memory.n_features()));
  EXPECT_THROW(memory.features(1, kInfinity, out.data()), InvalidArgument);
  const std::vector<EntityKey> keys = {1, 2};
  const std::vector<double> times = {1, 2};
  const std::vector<double> not_finite = {1, kInfinity};
  Matrix<float> labels = Matrix<float>::Zero(2, 1);
  EXPECT_THROW(memory.replay(keys, not_finite, labels), InvalidArgument);
  EXPECT_THROW(memory.replay(keys, {times.data(), 1}, labels), InvalidArgument);
  EXPECT_THROW(memory.replay(keys, times, Matrix<float>(Matrix<float>::Zero(2, 2))),
               InvalidArgument);
  EXPECT_THROW(memory.leave_one_out(keys, labels), InvalidArgument);
  labels(1, 0) = -1;
  try {
    memory.replay(keys, times, labels);
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_NE(std::string(error.what()).find("row 1"), std::string::npos) << error.what();
  }
  EXPECT_EQ(memory.size(), 0);
  EXPECT_EQ(memory.latest_time(), -kInfinity);
  EntityMemory untimed = build([](auto& o) { o.timed = false; });
  EXPECT_THROW(untimed.replay(keys, times, labels), InvalidArgument);
  EXPECT_THROW(untimed.leave_one_out(keys, labels), InvalidArgument);
  EXPECT_EQ(untimed.size(), 0);
}

TEST(EntityMemory, InconsistentFilesAreRefused) {
  const Setting s = settings()[6];  // with half-lives and base outputs
  EntityMemory memory(s.options, s.prior, s.task);
  replay(memory, stream_for(s, 9));
  io::TensorFile file;
  memory.save(file, "e.");
  EXPECT_NO_THROW(EntityMemory::load(file, "e."));
  EXPECT_THROW(EntityMemory::load(file, "other."), FileError);
  const auto refused = [&](auto change) {
    io::TensorFile bad = file;
    change(bad);
    EXPECT_THROW(EntityMemory::load(bad, "e."), FileError);
  };
  // Any tensor missing, and any but the windows one value short.
  for (const auto& [name, values] : file.doubles) {
    refused([&](io::TensorFile& f) { f.doubles.erase(name); });
    if (name != "e.windows") refused([&](io::TensorFile& f) { f.doubles[name].pop_back(); });
    if (name == "e.exact_from" || name == "e.decayed_until") continue;
    refused([&](io::TensorFile& f) { f.doubles[name][0] = std::nan(""); });
  }
  for (const auto& [name, values] : file.integers) {
    refused([&](io::TensorFile& f) { f.integers.erase(name); });
    refused([&](io::TensorFile& f) { f.integers[name].pop_back(); });
    if (name == "e.keys") continue;
    for (const std::int64_t value : {std::numeric_limits<std::int64_t>::max(),
                                     std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}}) {
      refused([&](io::TensorFile& f) { f.integers[name][0] = value; });
    }
  }
  refused([](io::TensorFile& f) { f.integers["e.keys"][0] = 0; });
  refused([](io::TensorFile& f) { f.integers["e.keys"][0] = f.integers["e.keys"][1]; });
  refused([](io::TensorFile& f) {
    std::swap(f.doubles["e.event_times"][0], f.doubles["e.event_times"][3]);
  });
  refused([](io::TensorFile& f) { ecseq::testing::set(f.floats["e.label_values"], 0, 0, 3); });
  refused([](io::TensorFile& f) { ecseq::testing::set(f.floats["e.label_values"], 0, 0, kNan); });
  refused([](io::TensorFile& f) { f.floats.erase("e.label_values"); });
  refused([](io::TensorFile& f) { ecseq::testing::set(f.floats["e.base_values"], 0, 0, kNan); });
  refused([](io::TensorFile& f) { f.floats.erase("e.base_values"); });
  refused([](io::TensorFile& f) { f.doubles["e.decayed_until"][0] = kInfinity; });
  refused([](io::TensorFile& f) { f.integers["e.more_options"][2] = -1; });
  refused([](io::TensorFile& f) { f.metadata.erase("e.by"); });
}

TEST(EntityMemory, CopiesAreIndependent) {
  const Setting s = settings()[0];
  EntityMemory memory(s.options, s.prior, s.task);
  replay(memory, stream_for(s, 10));
  const double t = memory.latest_time() + 10 * kDay;
  EntityMemory copy = memory;
  const Matrix<float> before = at(memory, entity_key(1), t);
  const float label = 1;
  copy.observe(entity_key(1), t - 8 * kDay, &label);
  EXPECT_TRUE(same_bits(at(memory, entity_key(1), t), before));
  EXPECT_FALSE(same_bits(at(copy, entity_key(1), t), before));
}

TEST(EntityKeys, IntegersAndTheirTextAreOneEntity) {
  EXPECT_EQ(entity_key(5), entity_key("5"));
  EXPECT_EQ(entity_key(-12), entity_key("-12"));
  EXPECT_EQ(entity_key(std::numeric_limits<std::int64_t>::min()),
            entity_key("-9223372036854775808"));
  EXPECT_NE(entity_key("05"), entity_key(5));
  EXPECT_NE(entity_key(""), kNoEntity);
  std::set<EntityKey> keys;
  for (int i = 0; i < 200'000; ++i) keys.insert(entity_key(i));
  EXPECT_EQ(keys.size(), 200'000u);
  EXPECT_EQ(keys.count(kNoEntity), 0u);
}

TEST(EntityKeys, ValuesArePartOfTheFileFormat) {
  EXPECT_EQ(entity_key("terminal"), 0xe15cb531119e4dc1ULL);
}

}  // namespace
