#include "ecseq/encoders/event_encoder.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "expect_refused.hpp"

namespace ecseq {
namespace {

using encoders::EncoderOptions;
using encoders::EventEncoder;
using encoders::NamedTensors;
using testing::expect_refused;

constexpr double kHour = 3600.0, kDay = 24 * kHour;
/// 1970-01-05, a Monday.
constexpr double kMonday = 4 * kDay;

/// Two sequences of three and two events: (amount, category, day's temperature).
Sequences events() {
  Matrix<float> values(5, 3);
  values << 1, 7, 10, 3, 7, 20, 5, 9, 30, 7, 7, 40, 9, 9, 50;
  Sequences out(values, {0, 3, 5});
  out.set_times({kMonday, kMonday + 6 * kHour, kMonday + 3.5 * kDay, kMonday, kMonday + 9.0});
  return out;
}

EncoderOptions with_everything() {
  EncoderOptions options;
  options.categorical = {{1, 4, 0.0, 2}};
  options.time_features = true;
  return options;
}

nn::Parameters<float> declared(EventEncoder& encoder) {
  nn::Parameters<float> parameters;
  Rng rng(3);
  encoder.declare(parameters, rng);
  return parameters;
}

Matrix<float> encoded(const EventEncoder& encoder, const nn::Parameters<float>& parameters,
                      const Sequences& sequences, Index i) {
  Matrix<float> out(sequences.view().length(i), encoder.inputs());
  encoder.encode(parameters, sequences, i, out.data());
  return out;
}

TEST(EventEncoder, NumbersAreStandardisedAndNothingElseIsPlain) {
  EventEncoder encoder(events(), {});
  EXPECT_TRUE(encoder.is_plain());
  EXPECT_EQ(encoder.inputs(), 3);
  const auto parameters = declared(encoder);
  EXPECT_EQ(parameters.entries().size(), 0U);
  const Matrix<float> x = encoded(encoder, parameters, events(), 0);
  const double std = std::sqrt(8.0);  // of 1, 3, 5, 7, 9
  EXPECT_FLOAT_EQ(x(0, 0), static_cast<float>(-4 / std));
  EXPECT_FLOAT_EQ(x(2, 0), 0.0F);
}

TEST(EventEncoder, TimeIsReadAsGapAndCycles) {
  EncoderOptions options;
  options.time_features = true;
  EventEncoder encoder(events(), options);
  EXPECT_FALSE(encoder.is_plain());
  ASSERT_EQ(encoder.inputs(), 8);
  const Matrix<float> x = encoded(encoder, declared(encoder), events(), 0);
  // log(1 + gap) of all events that have one before them: mean and standard deviation
  const double gaps[3] = {std::log1p(6 * kHour), std::log1p(3.25 * kDay), std::log1p(9.0)};
  const double mean = (gaps[0] + gaps[1] + gaps[2]) / 3;
  double variance = 0.0;
  for (const double gap : gaps) variance += (gap - mean) * (gap - mean) / 3;
  const auto expect_row = [&](Index t, double gap, double hour, double weekday) {
    EXPECT_NEAR(x(t, 3), gap, 1e-5);
    EXPECT_NEAR(x(t, 4), std::sin(hour), 1e-5);
    EXPECT_NEAR(x(t, 5), std::cos(hour), 1e-5);
    EXPECT_NEAR(x(t, 6), std::sin(weekday), 1e-5);
    EXPECT_NEAR(x(t, 7), std::cos(weekday), 1e-5);
  };
  const double turn = 2 * std::acos(-1.0);
  expect_row(0, 0.0, 0.0, 0.0);
  expect_row(1, (gaps[0] - mean) / std::sqrt(variance), turn / 4, turn / 28);
  expect_row(2, (gaps[1] - mean) / std::sqrt(variance), turn / 2, turn / 2);
}

TEST(EventEncoder, AWindowDoesNotSeeTheEventBeforeIt) {
  EncoderOptions options;
  options.time_features = true;
  EventEncoder encoder(events(), options);
  const Sequences windows = events().windows(2);  // [0], [0, 1], [1, 2], [3], [3, 4]
  const auto parameters = declared(encoder);
  EXPECT_EQ(encoded(encoder, parameters, windows, 2)(0, 3), 0.0F);
  EXPECT_EQ(encoded(encoder, parameters, windows, 2).row(1),
            encoded(encoder, parameters, events(), 0).row(2));
}

TEST(EventEncoder, CategoriesAreRowsOfATableAndUnknownOnesShareTheFirst) {
  EncoderOptions options = with_everything();
  EventEncoder encoder(events(), options);
  ASSERT_EQ(encoder.inputs(), 2 + 5 + 4);
  EXPECT_EQ(encoder.vocabulary_size(0), 3);
  const auto parameters = declared(encoder);
  const auto table = parameters.view(0);
  ASSERT_EQ(table.rows, 3);
  EXPECT_TRUE(table.eigen().row(0).isZero());
  EXPECT_FALSE(table.eigen().row(1).isZero());
  const Matrix<float> x = encoded(encoder, parameters, events(), 0);
  EXPECT_EQ(x.row(0).tail(4), table.eigen().row(1));
  EXPECT_EQ(x.row(2).tail(4), table.eigen().row(2));
  const float unknown[3] = {0, 8, 0};
  EXPECT_EQ(encoder.category(0, unknown), 0);
  options.categorical[0].min_count = 3;  // 9 happens twice only
  EXPECT_EQ(EventEncoder(events(), options).vocabulary_size(0), 2);
}

TEST(EventEncoder, TrainingReadsWhatInferenceReads) {
  EventEncoder encoder(events(), with_everything());
  const auto parameters = declared(encoder);
  autograd::Tape<float> tape;
  const nn::BoundParameters<float> constant(tape, parameters);
  const std::vector<Index> rows{1, 0};
  const Matrix<float> both = encoder.encode(constant, events(), rows, 5).value();
  EXPECT_EQ(both.topRows(2), encoded(encoder, parameters, events(), 1));
  EXPECT_EQ(both.bottomRows(3), encoded(encoder, parameters, events(), 0));
}

TEST(EventEncoder, EmbeddingsKeepToTheirLongestNorm) {
  EncoderOptions options = with_everything();
  options.categorical[0].max_norm = 0.5;
  EventEncoder encoder(events(), options);
  auto parameters = declared(encoder);
  MatrixView<float> table = parameters.view(0);
  for (Index j = 0; j < 4; ++j) {
    parameters.writable(0)[4 + j] = 3.0F;
    parameters.writable(0)[8 + j] = 0.1F;
  }
  encoder.project(parameters);
  table = parameters.view(0);
  EXPECT_NEAR(table.eigen().row(1).norm(), 0.5F, 1e-6);
  EXPECT_FLOAT_EQ(table.eigen()(1, 0), table.eigen()(1, 3));
  EXPECT_EQ(table.eigen()(2, 0), 0.1F);
}

TEST(EventEncoder, OnlyCategoriesAreEnough) {
  EncoderOptions options;
  options.categorical = {{0, 2, 0, 1}, {1, 3, 0, 1}, {2, 2, 0, 1}};
  EventEncoder encoder(events(), options);
  EXPECT_EQ(encoder.dense_inputs(), 0);
  const auto parameters = declared(encoder);
  EXPECT_EQ(encoded(encoder, parameters, events(), 1).cols(), 7);
  NamedTensors::Map tensors;
  encoder.add_to(tensors);
  EXPECT_EQ(tensors.count("feature.mean"), 0U);
  NamedTensors named(tensors);
  EventEncoder read(named, options);
  named.require_all_taken();
  EXPECT_EQ(encoded(read, declared(read), events(), 0), encoded(encoder, parameters, events(), 0));
}

TEST(EventEncoder, WhatDoesNotFitIsRefusedByName) {
  const EncoderOptions options = with_everything();
  const EventEncoder encoder(events(), options);
  const Sequences untimed(events().view().values.eigen(), {0, 5});
  expect_refused([&] { encoder.require_fit(untimed, "X"); },
                 "X: the encoder reads when events happened; got sequences without times");
  Sequences backwards(events().view().values.eigen(), {0, 3, 5});
  expect_refused(
      [&] {
        backwards.set_times({0, 2, 1, 0, 1});
      },
      "times: event 2 of sequence 0 is earlier than the event before it");
  expect_refused(
      [&] {
        backwards.set_times({0, 2});
      },
      "times: expected 5 values, one per event, got 2");
  expect_refused(
      [&] {
        backwards.set_times({0, 1, std::nan(""), 0, 1});
      },
      "times: value of event 2 is not finite");
}

}  // namespace
}  // namespace ecseq
