#include "ecseq/serving/live_scorer.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <fstream>
#include <queue>
#include <thread>

#include "ecseq/core/error.hpp"
#include "event_stream.hpp"
#include "temporary_folder.hpp"

namespace ecseq::serving {
namespace {

LiveOptions quick_options() {
  LiveOptions options;
  options.scorer.window = kWindow;
  options.user_shards = 4;
  return options;
}

/// The stream as it happens: each event scored, its label coming `delay` later. Logits [n].
std::vector<float> run(LiveScorer& live, const Stream& stream, Index begin, Index end,
                       double delay) {
  std::vector<float> out;
  Workspace workspace;
  std::queue<Index> unlabelled;
  for (Index i = begin; i < end; ++i) {
    const double now = stream.time[static_cast<std::size_t>(i)];
    const auto due = [&](Index j) {
      return stream.time[static_cast<std::size_t>(j)] + delay <= now;
    };
    for (; !unlabelled.empty() && due(unlabelled.front()); unlabelled.pop()) {
      const auto j = static_cast<std::size_t>(unlabelled.front());
      EXPECT_TRUE(live.label(unlabelled.front(), stream.y.values[j], now));
      EXPECT_FALSE(live.label(unlabelled.front(), stream.y.values[j], now)) << "twice";
    }
    std::span<const relation::EntityKey> keys;
    const Event event = event_of(stream, i, keys);
    const auto user = stream.user[static_cast<std::size_t>(i)];
    out.push_back(live.on_event(user, event, static_cast<std::uint64_t>(i), workspace).logits[0]);
    unlabelled.push(i);
  }
  return out;
}

void expect_near(const std::vector<float>& live, const Matrix<float>& expected, Index begin) {
  for (std::size_t i = 0; i < live.size(); ++i) {
    const float other = expected(begin + static_cast<Index>(i), 0);
    ASSERT_NEAR(live[i], other, 2e-6 * (1.0 + std::abs(other))) << "event " << i;
  }
}

TEST(LiveScorer, AStreamEqualsTheModelsReplay) {
  for (const char* aggregator : {"summary", "gnn"}) {
    const Fitted fitted(aggregator);
    const Matrix<float> expected = fitted.model.replay(fitted.future_samples(), fitted.future.y);
    LiveScorer live(Scorer(fitted.model, {kWindow}), quick_options());
    expect_near(run(live, fitted.future, 0, fitted.future.size(), 7 * kDay), expected, 0);
    EXPECT_DOUBLE_EQ(live.staleness(fitted.future.time.back() + 5.0), 5.0);
    EXPECT_EQ(live.current()->users->size(), 30U);
  }
}

TEST(LiveScorer, EntitiesThatNeverMoveScoreDifferently) {
  const Fitted fitted;
  const Matrix<float> replayed = fitted.model.replay(fitted.future_samples(), fitted.future.y);
  const Matrix<float> frozen = fitted.model.decide(fitted.future_samples());
  EXPECT_GT((replayed - frozen).cwiseAbs().maxCoeff(), 0.1F) << "else the tests prove nothing";
}

TEST(LiveScorer, ExplainsAnEventAsItIsGoingToScoreIt) {
  for (const char* aggregator : {"summary", "gnn"}) {
    const Fitted fitted(aggregator);
    const Stream& stream = fitted.future;
    LiveScorer live(Scorer(fitted.model, {kWindow}), quick_options());
    run(live, stream, 0, 200, 7 * kDay);
    Workspace workspace;
    for (Index i = 200; i < 230; ++i) {
      std::span<const relation::EntityKey> keys;
      const Event event = event_of(stream, i, keys);
      const auto user = stream.user[static_cast<std::size_t>(i)];
      const auto found = live.explain(user, event, 3);
      const auto id = static_cast<std::uint64_t>(i);
      const float logit = live.on_event(user, event, id, workspace).logits[0];
      EXPECT_NEAR(found.score, logit, 1e-5 * (1.0 + std::abs(logit))) << aggregator;
      ASSERT_EQ(found.entities.size(), 1U);
      EXPECT_TRUE(found.entities[0].known);
    }
  }
}

TEST(LiveScorer, AnExplanationMakesNoUser) {
  const Fitted fitted;
  LiveScorer live(Scorer(fitted.model, {kWindow}), quick_options());
  std::span<const relation::EntityKey> keys;
  const Event event = event_of(fitted.future, 0, keys);
  live.explain(12345, event, 3);
  EXPECT_EQ(live.current()->users->size(), 0U);
  EXPECT_EQ(live.current()->entities->pending(), 0U);
}

TEST(LiveScorer, GoesOnFromASnapshot) {
  const Fitted fitted;
  const testing::TemporaryFolder folder;
  const Matrix<float> expected = fitted.model.replay(fitted.future_samples(), fitted.future.y);
  {
    LiveScorer live(Scorer(fitted.model, {kWindow}), quick_options());
    run(live, fitted.future, 0, 250, 1e9);
    live.save(folder.path().string());
  }
  LiveScorer live(Scorer(fitted.model, {kWindow}), quick_options());
  live.restore(folder.path().string());
  // Labels of events before the snapshot come after it.
  for (Index j = 0; j < 250; ++j) {
    EXPECT_TRUE(live.label(static_cast<std::uint64_t>(j),
                           fitted.future.y.values[static_cast<std::size_t>(j)],
                           fitted.future.time[249]));
  }
  expect_near(run(live, fitted.future, 250, fitted.future.size(), 7 * kDay), expected, 250);

  std::ofstream(folder.file("users.state"), std::ios::binary | std::ios::app) << "x";
  const std::uint64_t number = live.current()->number;
  EXPECT_THROW(live.restore(folder.path().string()), FileError);
  EXPECT_EQ(live.current()->number, number);
  EXPECT_EQ(live.current()->users->size(), 30U);
}

TEST(LiveScorer, ARefusedEventChangesNothing) {
  const Fitted fitted;
  LiveScorer live(Scorer(fitted.model, {kWindow}), quick_options());
  run(live, fitted.future, 0, 50, 1e9);
  Workspace workspace;
  std::span<const relation::EntityKey> keys;
  const Event good = event_of(fitted.future, 50, keys);
  const auto state_of = [&](std::uint64_t user) {
    std::vector<std::byte> block(live.current()->scorer.state_size());
    EXPECT_TRUE(live.current()->users->read(user, block));
    return block;
  };
  const std::uint64_t user = fitted.future.user[49];
  const auto before = state_of(user);
  const auto pending = live.current()->entities->pending();
  const float nan[2] = {0.0F, NAN};
  Event bad = good;
  bad.values = nan;
  EXPECT_THROW(live.on_event(user, bad, 1000, workspace), InvalidArgument);
  EXPECT_THROW(live.on_event(12345, bad, 1000, workspace), InvalidArgument);
  bad = good;
  bad.time = INFINITY;
  EXPECT_THROW(live.on_event(user, bad, 1000, workspace), InvalidArgument);
  bad = good;
  bad.entities = {};
  EXPECT_THROW(live.on_event(user, bad, 1000, workspace), InvalidArgument);
  EXPECT_THROW(live.label(0, NAN, 1e9), InvalidArgument);
  EXPECT_EQ(state_of(user), before);
  EXPECT_EQ(live.current()->entities->pending(), pending);
  EXPECT_EQ(live.current()->users->size(), live.current()->users->size());
  std::vector<std::byte> block(live.current()->scorer.state_size());
  EXPECT_FALSE(live.current()->users->read(12345, block));
}

TEST(LiveScorer, AReloadKeepsWhatStillFitsAndNothingElse) {
  const Fitted one, other("summary", "lstm");
  LiveScorer live(Scorer(one.model, {kWindow}), quick_options());
  run(live, one.future, 0, 100, 1e9);
  const auto pending = live.current()->entities->pending();
  live.replace(Scorer(one.model, {kWindow}));
  EXPECT_EQ(live.current()->number, 2U);
  EXPECT_EQ(live.current()->users->size(), 30U);
  EXPECT_EQ(live.current()->entities->pending(), pending);
  live.replace(Scorer(other.model, {kWindow}));  // another encoder: users start anew
  EXPECT_EQ(live.current()->number, 3U);
  EXPECT_EQ(live.current()->users->size(), 0U);
  EXPECT_EQ(live.current()->entities->pending(), pending);
  EXPECT_THROW(live.reload("/no/such/file"), FileError);
  EXPECT_EQ(live.current()->number, 3U);
  Workspace workspace;
  std::span<const relation::EntityKey> keys;
  EXPECT_NO_THROW(live.on_event(1, event_of(one.future, 100, keys), 100, workspace));
}

/// For ThreadSanitizer above all: everything at once.
TEST(LiveScorer, EventsLabelsScoresSwapsAndSnapshotsAtOnce) {
  const Fitted fitted;
  LiveScorer live(Scorer(fitted.model, {kWindow}), quick_options());
  const testing::TemporaryFolder folder;
  std::atomic<bool> stop{false};
  std::atomic<int> bad{0};
  std::vector<std::thread> threads;
  for (int worker = 0; worker < 3; ++worker) {
    threads.emplace_back([&, worker] {
      Workspace workspace;
      for (Index i = worker; i < fitted.future.size(); i += 3) {
        std::span<const relation::EntityKey> keys;
        const Event event = event_of(fitted.future, i, keys);
        const auto at = static_cast<std::size_t>(i);
        const float value = live.on_event(fitted.future.user[at], event, at, workspace).value();
        if (!(value >= 0.0F && value <= 1.0F)) ++bad;
        live.label(at, fitted.future.y.values[at], event.time + 7 * kDay);
      }
    });
  }
  threads.emplace_back([&] {
    Workspace workspace;
    const SequencesView all = fitted.windows[2];
    for (Index i = 0; !stop; i = (i + 1) % all.size) {
      std::span<const relation::EntityKey> keys;
      const Event event = event_of(fitted.future, i, keys);
      const Request request{{all.events(i), all.length(i), 2}, {}, event.time, event.entities};
      if (!(live.score(request, workspace).value() >= 0.0F)) ++bad;
    }
  });
  threads.emplace_back([&] {
    while (!stop) {
      live.replace(Scorer(fitted.model, {kWindow}));
      live.save(folder.path().string());
    }
  });
  for (std::size_t t = 0; t < 3; ++t) threads[t].join();
  stop = true;
  for (std::size_t t = 3; t < threads.size(); ++t) threads[t].join();
  EXPECT_EQ(bad, 0);
  EXPECT_EQ(live.current()->users->size(), 30U);
  EXPECT_EQ(live.current()->entities->pending(), 0U);
}

}  // namespace
}  // namespace ecseq::serving
