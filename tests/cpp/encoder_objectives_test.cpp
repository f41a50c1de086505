// Training an encoder for labels of events, for the next event, and from weights there are.

#include <gtest/gtest.h>

#include <cmath>

#include "ecseq/core/rng.hpp"
#include "ecseq/encoders/sequence_encoder.hpp"
#include "ecseq/nn/ranking_metrics.hpp"
#include "expect_refused.hpp"

namespace ecseq {
namespace {

using encoders::EncoderOptions;
using encoders::SequenceEncoder;
using testing::expect_refused;

struct Data {
  Sequences sequences;
  Targets per_event, per_sequence, per_prefix;
  Sequences prefixes;  ///< one per event
};

/// Events (noise, +-1); the label of an event is whether more +1 than -1 came so far.
Data generate(Index n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<std::int64_t> offsets{0};
  std::vector<float> values;
  Data data;
  for (Index i = 0; i < n; ++i) {
    const Index length = 1 + rng.below(9);
    int sum = 0;
    for (Index t = 0; t < length; ++t) {
      const int sign = rng.uniform() < 0.5 ? -1 : 1;
      sum += sign;
      values.insert(values.end(), {static_cast<float>(rng.normal()), static_cast<float>(sign)});
      data.per_event.values.push_back(sum > 0 ? 1.0F : 0.0F);
    }
    data.per_sequence.values.push_back(data.per_event.values.back());
    offsets.push_back(offsets.back() + length);
  }
  data.sequences = Sequences(Eigen::Map<Matrix<float>>(values.data(), offsets.back(), 2), offsets);
  data.prefixes = data.sequences.windows(100);
  return data;
}

/// Sequences that count 0, 1, 2, 0, 1, ... in a categorical column beside an alternating number.
Sequences cycles(Index n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<std::int64_t> offsets{0};
  std::vector<float> values;
  for (Index i = 0; i < n; ++i) {
    const Index length = 2 + rng.below(8), start = rng.below(3);
    for (Index t = 0; t < length; ++t) {
      values.insert(values.end(),
                    {static_cast<float>((start + t) % 3) * 100, t % 2 == 0 ? 5.0F : -5.0F});
    }
    offsets.push_back(offsets.back() + length);
  }
  return {Eigen::Map<Matrix<float>>(values.data(), offsets.back(), 2), offsets};
}

EncoderOptions quick(const char* cell) {
  EncoderOptions options;
  options.cell = cell;
  options.hidden_size = 12;
  options.training.batch_size = 64;
  options.training.learning_rate = 1e-2;
  options.training.max_epochs = 15;
  return options;
}

std::span<const float> column(const Matrix<float>& x) {
  return {x.data(), static_cast<std::size_t>(x.rows())};
}

class Objectives : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Cells, Objectives, ::testing::Values("lstm", "gru", "transformer"));

TEST_P(Objectives, LabelsOfEventsTrainTheStatesAfterThem) {
  EncoderOptions options = quick(GetParam());
  options.labels_per = "event";
  const Data training = generate(600, 1), validation = generate(200, 2), test = generate(200, 3);
  const auto encoder = SequenceEncoder::fit(training.sequences, training.per_event,
                                            validation.sequences, validation.per_event, options);
  const Matrix<float> states = encoder.encode_events(test.sequences);
  EXPECT_EQ(states.rows(), test.per_event.size());
  EXPECT_GT(nn::roc_auc(column(encoder.decide(states)), test.per_event.values), 0.98);
  // The state after event t is the embedding of the first t events, to the last bit.
  EXPECT_EQ(encoder.encode(test.prefixes), states);
}

TEST_P(Objectives, OnePassOverASequenceIsTheLossOfAllItsPrefixes) {
  EncoderOptions options = quick(GetParam());
  options.training.batch_size = 10000;
  options.training.max_epochs = 1;
  const Data data = generate(50, 1);
  const SequencesView nothing{data.sequences.view().values, nullptr, nullptr, 0};
  const Targets none;
  const auto of_prefixes =
      SequenceEncoder::fit(data.prefixes, data.per_event, nothing, none, options);
  options.labels_per = "event";
  const auto of_events =
      SequenceEncoder::fit(data.sequences, data.per_event, nothing, none, options);
  EXPECT_NEAR(of_events.report().epochs[0].training_loss,
              of_prefixes.report().epochs[0].training_loss, 1e-5);
}

TEST_P(Objectives, NextEventsArePredictedWithoutLabels) {
  EncoderOptions options = quick(GetParam());
  options.categorical = {{0, 4, 0, 1}};
  options.training.max_epochs = 40;
  options.training.patience = 40;
  const auto encoder = SequenceEncoder::pretrain(cycles(300, 1), cycles(100, 2), options);
  const auto& epochs = encoder.report().epochs;
  EXPECT_LT(epochs[static_cast<std::size_t>(encoder.report().best_epoch)].validation_loss, 0.05);
  EXPECT_GT(epochs[0].validation_loss, 0.5);
  EXPECT_FALSE(encoder.has_head());
  EXPECT_EQ(encoder.n_outputs(), 0);
  const Matrix<float> zero = Matrix<float>::Zero(1, 12);
  expect_refused([&] { encoder.decide(zero); }, "decide: the encoder was not trained on labels");
  const auto rebuilt = SequenceEncoder::from_tensors(encoder.tensors(), options, Task::kBinary, 2);
  EXPECT_FALSE(rebuilt.has_head());
  EXPECT_EQ(rebuilt.encode(cycles(20, 3)), encoder.encode(cycles(20, 3)));
}

TEST_P(Objectives, TrainingGoesOnFromWeightsThereAre) {
  EncoderOptions options = quick(GetParam());
  options.training.max_epochs = 2;
  const Data data = generate(200, 1);
  const auto pretrained = SequenceEncoder::pretrain(data.sequences, data.sequences, options);
  options.training.learning_rate = 1e-12;
  const auto labelled = SequenceEncoder::fit(data.sequences, data.per_sequence, data.sequences,
                                             data.per_sequence, options, {}, &pretrained);
  ASSERT_TRUE(labelled.has_head());
  EXPECT_TRUE(labelled.encode(data.sequences).isApprox(pretrained.encode(data.sequences), 1e-5F));
  // A later batch may hold one class only; the head goes on too.
  const Targets ones{Task::kBinary, 2, std::vector<float>(200, 1.0F)};
  const auto further =
      SequenceEncoder::fit(data.sequences, ones, data.sequences, ones, options, {}, &labelled);
  const Matrix<float> embedding = labelled.encode(data.sequences);
  EXPECT_TRUE(further.decide(embedding).isApprox(labelled.decide(embedding), 1e-5F));
  options.hidden_size = 16;
  options.dropout = 0.5;
  expect_refused(
      [&] {
        SequenceEncoder::fit(data.sequences, ones, data.sequences, ones, options, {}, &labelled);
      },
      "start: 'hidden_size' differs from the encoder to go on from");
}

TEST(Objectives, NetworksThatLookAheadCannotBeTrainedToPredict) {
  const Data data = generate(50, 1);
  EncoderOptions options = quick("lstm");
  options.bidirectional = true;
  expect_refused([&] { SequenceEncoder::pretrain(data.sequences, data.sequences, options); },
                 "next-event prediction needs a network that does not look ahead: set "
                 "bidirectional=false");
  options = quick("transformer");
  options.transformer.causal = false;
  expect_refused([&] { SequenceEncoder::pretrain(data.sequences, data.sequences, options); },
                 "next-event prediction needs a network that does not look ahead: set causal=true");
  options = quick("gru");
  options.labels_per = "event";
  options.pooling = "mean";
  expect_refused(
      [&] {
        SequenceEncoder::fit(data.sequences, data.per_event, data.sequences, data.per_event,
                             options);
      },
      "labels_per: labels of events need a network that does not look ahead, and pooling 'last'");
  options = quick("gru");
  expect_refused([&] { SequenceEncoder::pretrain(data.sequences.windows(1), {}, options); },
                 "training: next-event prediction needs a sequence of at least two events");
}

}  // namespace
}  // namespace ecseq
