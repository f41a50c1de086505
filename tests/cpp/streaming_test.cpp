#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/encoders/sequence_encoder.hpp"
#include "ecseq/serving/scorer.hpp"
#include "quick_model.hpp"

namespace ecseq::serving {
namespace {

using encoders::EncoderOptions;
using encoders::SequenceEncoder;

/// Ragged sequences of (a number far from 0, one of five categories, a number), with times; the
/// label is whether the numbers of the last events are large.
struct Events {
  Sequences sequences;
  Targets y{Task::kBinary, 2, {}};

  Events(Index n, std::uint64_t seed, Index shortest = 1, Index longest = 12) {
    Rng rng(seed);
    std::vector<std::int64_t> offsets{0};
    std::vector<float> values;
    std::vector<double> times;
    for (Index i = 0; i < n; ++i) {
      const Index length = shortest + rng.below(longest - shortest + 1);
      double time = 1.7e9 + 1e6 * rng.uniform(), sum = 0.0;
      for (Index t = 0; t < length; ++t) {
        const double x = rng.normal();
        sum = 0.7 * sum + x;
        values.insert(values.end(), {static_cast<float>(1e4 + 1e2 * rng.normal()),
                                     static_cast<float>(rng.below(5)), static_cast<float>(x)});
        times.push_back(time += rng.uniform() < 0.1 ? 0.0 : 1e4 * rng.uniform());
      }
      offsets.push_back(offsets.back() + length);
      y.values.push_back(sum > 0.0 ? 1.0F : 0.0F);
    }
    sequences = Sequences(Eigen::Map<Matrix<float>>(values.data(), offsets.back(), 3), offsets);
    sequences.set_times(std::move(times));
  }
  pipeline::Samples samples() const {
    pipeline::Samples out;
    out.sequences = sequences.view();
    return out;
  }
};

EncoderOptions small_encoder(const std::string& cell) {
  EncoderOptions options;
  options.cell = cell;
  options.hidden_size = 12;
  options.training.max_epochs = 2;
  options.training.batch_size = 64;
  if (options.is_transformer()) {
    options.transformer.n_heads = 2;
    options.transformer.max_length = 32;
  }
  return options;
}

pipeline::Model model_with(const EncoderOptions& options) {
  const Events training(300, 1), validation(100, 2);
  return testing::quick_model(training, validation,
                              SequenceEncoder::fit(training.sequences, training.y,
                                                   validation.sequences, validation.y, options));
}

Event event_at(const SequencesView& all, Index row) {
  return {{all.values.row(row), static_cast<std::size_t>(all.features())}, all.times[row], {}};
}
Request request_of(const SequencesView& all, Index first, Index last) {
  return {{all.values.row(first), last - first, all.features()},
          {all.times + first, static_cast<std::size_t>(last - first)},
          all.times[last - 1],
          {}};
}

/// After every event, the state's score is that of all events so far, or of the last ones of its
/// window; and that is the model's.
void expect_updates_equal_scores(const EncoderOptions& options, Index window, const char* what) {
  const pipeline::Model model = model_with(options);
  const Scorer scorer(model, {window});
  const Events test(12, 3, 1, 30);
  const SequencesView all = test.sequences;
  const Matrix<float> expected = model.decide(test.samples());
  Workspace one, other;
  for (Index i = 0; i < all.size; ++i) {
    State state = scorer.start(static_cast<std::uint64_t>(i));
    for (Index row = all.starts[i]; row < all.stops[i]; ++row) {
      const Score updated = scorer.update(state.block(), event_at(all, row), one);
      const Index read = scorer.window() > 0 ? scorer.window() : row + 1 - all.starts[i];
      const Index first = std::max<Index>(all.starts[i], row + 1 - read);
      const Score full = scorer.score(request_of(all, first, row + 1), other);
      ASSERT_NEAR(updated.logits[0], full.logits[0], 1e-5 * (1.0 + std::abs(full.logits[0])))
          << what << ", event " << row - all.starts[i];
      ASSERT_NEAR(updated.base[0], full.base[0], 1e-5 * (1.0 + std::abs(full.base[0]))) << what;
      if (row + 1 == all.stops[i] && first == all.starts[i]) {
        ASSERT_NEAR(full.logits[0], expected(i, 0), 1e-5 * (1.0 + std::abs(expected(i, 0))));
      }
      if (row % 3 == 0) state = State::from_bytes(state.bytes());  // as from a key-value store
    }
    EXPECT_EQ(state.head().events, static_cast<std::uint64_t>(all.length(i)));
    EXPECT_EQ(state.head().user, static_cast<std::uint64_t>(i));
  }
}

TEST(Streaming, AnUpdateEqualsAFullScoreForEveryCellAndLayerCount) {
  for (const char* cell : {"lstm", "gru"}) {
    for (const int layers : {1, 2, 3, 4}) {
      EncoderOptions options = small_encoder(cell);
      options.n_layers = layers;
      options.hidden_size = 10 + layers;  // no whole vectors
      expect_updates_equal_scores(options, 0, cell);
    }
  }
}

TEST(Streaming, AnUpdateIsExplainedAsTheWholeHistory) {
  for (const char* cell : {"lstm", "transformer"}) {
    const pipeline::Model model = model_with(small_encoder(cell));
    const Scorer scorer(model, {0});
    const Events test(6, 5, 3, 20);
    const SequencesView all = test.sequences;
    for (Index i = 0; i < all.size; ++i) {
      State state = scorer.start(1);
      const Index last = all.stops[i] - 1;
      for (Index row = all.starts[i]; row < last; ++row) scorer.update(state, event_at(all, row));
      const auto before = state.bytes();
      const auto found = scorer.explain_update(state.block(), event_at(all, last), 3);
      EXPECT_EQ(state.bytes(), before);
      const auto expected = scorer.explain(request_of(all, all.starts[i], last + 1), 3);
      EXPECT_NEAR(found.score, expected.score, 1e-5 * (1.0 + std::abs(expected.score)));
      EXPECT_NEAR(found.base_score, expected.base_score, 1e-5 * (1.0 + std::abs(found.base_score)));
      ASSERT_EQ(found.similar.size(), expected.similar.size());
      for (std::size_t j = 0; j < found.similar.size(); ++j) {
        EXPECT_EQ(found.similar[j].representative, expected.similar[j].representative);
        EXPECT_NEAR(found.similar[j].contribution, expected.similar[j].contribution, 1e-5);
      }
      Workspace workspace;
      const float logit = scorer.update(state.block(), event_at(all, last), workspace).logits[0];
      EXPECT_NEAR(found.score, logit, 1e-5 * (1.0 + std::abs(logit))) << cell;
    }
  }
}

TEST(Streaming, AnUpdateEqualsAFullScoreForEveryPooling) {
  for (const char* cell : {"lstm", "gru"}) {
    for (const char* pooling : {"mean", "max", "attention"}) {
      EncoderOptions options = small_encoder(cell);
      options.pooling = pooling;
      expect_updates_equal_scores(options, 0, pooling);
    }
  }
}

TEST(Streaming, CategoriesAndTimesAreReadAsTheyCome) {
  for (const char* cell : {"lstm", "gru", "transformer"}) {
    EncoderOptions options = small_encoder(cell);
    options.categorical = {{1, 4, 0.0, 2}};
    options.time_features = true;
    expect_updates_equal_scores(options, 0, cell);
    expect_updates_equal_scores(options, 7, cell);
  }
}

TEST(Streaming, WhatMustReadASequenceAsAWholeKeepsAWindow) {
  EncoderOptions both = small_encoder("gru");
  both.bidirectional = true;
  expect_updates_equal_scores(both, 0, "bidirectional");
  EncoderOptions looking_ahead = small_encoder("transformer");
  looking_ahead.transformer.causal = false;
  expect_updates_equal_scores(looking_ahead, 5, "transformer");
  EncoderOptions learned = small_encoder("transformer");
  learned.transformer.positions = "learned";
  expect_updates_equal_scores(learned, 0, "learned positions");
  EXPECT_EQ(Scorer(model_with(learned)).window(), 32);
  EXPECT_EQ(Scorer(model_with(both)).window(), 64);
  EXPECT_EQ(Scorer(model_with(small_encoder("lstm"))).window(), 0);
}

TEST(Streaming, AStateIsAFewHundredBytes) {
  EncoderOptions options = small_encoder("lstm");
  options.hidden_size = 32;
  const Scorer scorer(model_with(options));
  EXPECT_EQ(scorer.state_size(), 48 + 2 * 32 * sizeof(float));
}

TEST(Streaming, RefusesForeignBlocksAndBadEventsWithoutTouchingTheState) {
  EncoderOptions options = small_encoder("gru");
  options.time_features = true;
  const Scorer scorer(model_with(options));
  const Events test(1, 3, 5, 5);
  const SequencesView all = test.sequences;
  Workspace workspace;
  State state = scorer.start(7);
  scorer.update(state.block(), event_at(all, 0), workspace);
  scorer.update(state.block(), event_at(all, 1), workspace);
  const std::vector<std::byte> before = state.bytes();

  std::vector<float> values(all.values.row(2), all.values.row(2) + 3);
  const auto expect_refused = [&](Event event, const char* what) {
    EXPECT_THROW(scorer.update(state.block(), event, workspace), InvalidArgument) << what;
    EXPECT_EQ(state.bytes(), before) << what;
  };
  expect_refused({{values.data(), 2}, all.times[2], {}}, "too few values");
  expect_refused({values, all.times[0] - 1.0, {}}, "earlier than the one before");
  expect_refused({values, NAN, {}}, "no time");
  values[2] = NAN;
  expect_refused({values, all.times[2], {}}, "NaN");
  values[2] = -std::numeric_limits<float>::infinity();
  expect_refused({values, all.times[2], {}}, "infinity");

  const Scorer other(model_with(small_encoder("gru")));  // no time features
  State foreign = other.start();
  EXPECT_FALSE(scorer.accepts(foreign.block()));
  EXPECT_NE(scorer.encoder_id(), other.encoder_id());
  EXPECT_THROW(scorer.update(foreign.block(), event_at(all, 0), workspace), InvalidArgument);
  EXPECT_EQ(Scorer(model_with(options)).encoder_id(), scorer.encoder_id());
  EXPECT_NE(Scorer(model_with(options), {5}).encoder_id(), scorer.encoder_id());
}

TEST(Streaming, DamagedStateBytesAreRefused) {
  const Scorer scorer(model_with(small_encoder("gru")));
  const Events test(1, 3, 5, 5);
  Workspace workspace;
  State state = scorer.start(7);
  scorer.update(state.block(), event_at(test.sequences, 0), workspace);
  const std::vector<std::byte> good = state.bytes();
  EXPECT_NO_THROW(State::from_bytes(good));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THROW(State::from_bytes({good.data(), size}), FileError) << size;
  }
  std::vector<std::byte> longer = good;
  longer.push_back(std::byte{0});
  EXPECT_THROW(State::from_bytes(longer), FileError);
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> bad = good;
      bad[i] ^= std::byte{1} << bit;
      EXPECT_THROW(State::from_bytes(bad), FileError) << i << ", bit " << bit;
    }
  }
  EXPECT_THROW(State().bytes(), InvalidArgument);
}

}  // namespace
}  // namespace ecseq::serving
