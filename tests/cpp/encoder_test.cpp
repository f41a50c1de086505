#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

#include "ecseq/core/rng.hpp"
#include "ecseq/encoders/sequence_encoder.hpp"
#include "ecseq/nn/ranking_metrics.hpp"
#include "edit_tensor.hpp"

namespace ecseq {
namespace {

using encoders::EncoderOptions;
using encoders::SequenceEncoder;

struct Data {
  Sequences sequences;
  Targets y;
};

/// Ragged sequences of (noise around a large mean, constant, +-1). The class is whether the first
/// +-1 is +1 (two classes), how many of the first two are +1 (three), or the value
/// 1000 + 50 * (first + second): what decides is far from the last event.
Data generate(Task task, Index n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<std::int64_t> offsets{0};
  std::vector<float> values;
  Data data;
  data.y.task = task;
  data.y.n_classes = task == Task::kRegression ? 0 : task == Task::kBinary ? 2 : 3;
  for (Index i = 0; i < n; ++i) {
    const Index length = 2 + rng.below(8);
    float sign[2] = {0, 0};
    for (Index t = 0; t < length; ++t) {
      const float s = rng.uniform() < 0.5 ? -1.0F : 1.0F;
      if (t < 2) sign[t] = s;
      values.insert(values.end(), {static_cast<float>(1e6 + 1e3 * rng.normal()), 7.0F, s});
    }
    offsets.push_back(offsets.back() + length);
    const int positive = (sign[0] > 0) + (sign[1] > 0);
    data.y.values.push_back(task == Task::kBinary       ? static_cast<float>(sign[0] > 0)
                            : task == Task::kMulticlass ? static_cast<float>(positive)
                                                        : 1000.0F + 50.0F * (sign[0] + sign[1]));
  }
  Matrix<float> table = Eigen::Map<Matrix<float>>(values.data(), offsets.back(), 3);
  data.sequences = Sequences(std::move(table), offsets);
  return data;
}

EncoderOptions quick() {
  EncoderOptions options;
  options.hidden_size = 12;
  options.training.batch_size = 64;
  options.training.shard_size = 16;
  options.training.learning_rate = 1e-2;
  options.training.max_epochs = 12;
  return options;
}

SequenceEncoder fit(Task task, const EncoderOptions& options = quick(),
                    const ProgressCallback& progress = {}) {
  const Data training = generate(task, 600, 1), validation = generate(task, 200, 2);
  return SequenceEncoder::fit(training.sequences, training.y, validation.sequences, validation.y,
                              options, progress);
}

std::span<const float> first_column(const Matrix<float>& x) {
  return {x.data(), static_cast<std::size_t>(x.rows())};
}

TEST(SequenceEncoder, LearnsTwoClassesFromTheFirstEvent) {
  const auto encoder = fit(Task::kBinary);
  const Data test = generate(Task::kBinary, 300, 3);
  const Matrix<float> embedding = encoder.encode(test.sequences);
  EXPECT_EQ(embedding.rows(), 300);
  EXPECT_EQ(embedding.cols(), 12);
  const Matrix<float> logits = encoder.decide(embedding);
  ASSERT_EQ(logits.cols(), 1);
  EXPECT_GT(nn::roc_auc(first_column(logits), test.y.values), 0.98);
  EXPECT_GE(encoder.report().best_epoch, 0);
  EXPECT_GT(encoder.report().epochs.back().validation_score, 0.98);
}

TEST(SequenceEncoder, LearnsSeveralClasses) {
  EncoderOptions options = quick();
  options.training.max_epochs = 25;
  const auto encoder = fit(Task::kMulticlass, options);
  const Data test = generate(Task::kMulticlass, 300, 3);
  const Matrix<float> logits = encoder.decide(encoder.encode(test.sequences));
  ASSERT_EQ(logits.cols(), 3);
  Index right = 0;
  for (Index i = 0; i < 300; ++i) {
    Index best = 0;
    logits.row(i).maxCoeff(&best);
    right += best == static_cast<Index>(test.y.values[static_cast<std::size_t>(i)]);
  }
  EXPECT_GT(right, 270);
}

TEST(SequenceEncoder, RegressionAnswersInTheTargetsUnits) {
  EncoderOptions options = quick();
  options.training.max_epochs = 25;
  const auto encoder = fit(Task::kRegression, options);
  const Data test = generate(Task::kRegression, 300, 3);
  const Matrix<float> values = encoder.decide(encoder.encode(test.sequences));
  double error = 0.0;
  for (Index i = 0; i < 300; ++i) {
    error += std::abs(values(i, 0) - test.y.values[static_cast<std::size_t>(i)]) / 300.0;
  }
  EXPECT_LT(error, 25.0);  // the targets' mean absolute deviation is 50
}

TEST(SequenceEncoder, AGruLearnsAndKeepsItsPromises) {
  EncoderOptions options = quick();
  options.cell = "gru";
  options.training.num_threads = 1;
  const auto encoder = fit(Task::kBinary, options);
  options.training.num_threads = 3;
  const auto threaded = fit(Task::kBinary, options);
  const Data test = generate(Task::kBinary, 300, 3);
  const Matrix<float> embedding = encoder.encode(test.sequences);
  const Matrix<float> logits = encoder.decide(embedding);
  EXPECT_GT(nn::roc_auc(first_column(logits), test.y.values), 0.98);
  EXPECT_EQ(threaded.encode(test.sequences, 3), embedding);
  for (const Index i : {0, 17, 299}) {
    EXPECT_EQ(encoder.encode(test.sequences.subset({i})).row(0), embedding.row(i));
  }
  const auto tensors = encoder.tensors();
  EXPECT_EQ(tensors.at("gru.weight_input").cols(), 36);
  EXPECT_EQ(tensors.at("gru.bias").cols(), 48);
  const auto rebuilt = SequenceEncoder::from_tensors(tensors, options, Task::kBinary, 2);
  EXPECT_EQ(rebuilt.encode(test.sequences), embedding);
  options.cell = "lstm";
  EXPECT_THROW(SequenceEncoder::from_tensors(tensors, options, Task::kBinary, 2), FileError);
}

TEST(SequenceEncoder, LayersAndDirectionsLearnAndKeepTheirPromises) {
  for (const char* cell : {"lstm", "gru"}) {
    EncoderOptions options = quick();
    options.cell = cell;
    options.n_layers = 2;
    options.bidirectional = true;
    options.dropout = 0.2;
    options.training.num_threads = 1;
    const auto encoder = fit(Task::kBinary, options);
    options.training.num_threads = 3;
    const auto threaded = fit(Task::kBinary, options);
    const Data test = generate(Task::kBinary, 300, 3);
    const Matrix<float> embedding = encoder.encode(test.sequences);
    EXPECT_EQ(embedding.cols(), 24);
    EXPECT_EQ(encoder.embedding_size(), 24);
    EXPECT_GT(nn::roc_auc(first_column(encoder.decide(embedding)), test.y.values), 0.98);
    EXPECT_EQ(threaded.encode(test.sequences, 3), embedding);
    for (const Index i : {0, 17, 299}) {
      EXPECT_EQ(encoder.encode(test.sequences.subset({i})).row(0), embedding.row(i));
    }
    const auto tensors = encoder.tensors();
    const std::string upper = std::string(cell) + ".weight_input_1_backward";
    EXPECT_EQ(tensors.at(upper).rows(), 24);
    const auto rebuilt = SequenceEncoder::from_tensors(tensors, options, Task::kBinary, 2);
    EXPECT_EQ(rebuilt.encode(test.sequences), embedding);
    auto incomplete = tensors;
    incomplete.erase(upper);
    EXPECT_THROW(SequenceEncoder::from_tensors(incomplete, options, Task::kBinary, 2), FileError);
    options.bidirectional = false;
    EXPECT_THROW(SequenceEncoder::from_tensors(tensors, options, Task::kBinary, 2), FileError);
  }
}

TEST(SequenceEncoder, TransformersLearnAndKeepTheirPromises) {
  EncoderOptions options = quick();
  options.cell = "transformer";
  options.n_layers = 2;
  options.dropout = 0.1;
  options.training.max_epochs = 25;
  const Data test = generate(Task::kBinary, 300, 3);
  for (const bool causal : {true, false}) {
    options.transformer.causal = causal;
    options.transformer.norm = causal ? "pre" : "post";
    options.transformer.activation = causal ? "gelu" : "relu";
    options.transformer.positions = causal ? "sinusoidal" : "learned";
    options.transformer.final_norm = causal;
    options.training.num_threads = 1;
    const auto encoder = fit(Task::kBinary, options);
    options.training.num_threads = 3;
    const auto threaded = fit(Task::kBinary, options);
    const Matrix<float> embedding = encoder.encode(test.sequences);
    EXPECT_GT(nn::roc_auc(first_column(encoder.decide(embedding)), test.y.values), 0.97);
    EXPECT_EQ(threaded.encode(test.sequences, 3), embedding);
    for (const Index i : {0, 17, 299}) {
      EXPECT_EQ(encoder.encode(test.sequences.subset({i})).row(0), embedding.row(i));
    }
    const auto tensors = encoder.tensors();
    EXPECT_EQ(tensors.at("transformer.1.feed_forward_in.weight").cols(), 48);
    EXPECT_EQ(tensors.count("transformer.norm.gain"), causal ? 1U : 0U);
    EXPECT_EQ(tensors.count("transformer.positions"), causal ? 0U : 1U);
    const auto rebuilt = SequenceEncoder::from_tensors(tensors, options, Task::kBinary, 2);
    EXPECT_EQ(rebuilt.encode(test.sequences), embedding);
  }
}

TEST(SequenceEncoder, SinusoidalPositionsGoOnBeyondTheTable) {
  EncoderOptions options = quick();
  options.cell = "transformer";
  options.training.max_epochs = 1;
  options.transformer.max_length = 4;
  const auto small = fit(Task::kBinary, options);
  options.transformer.max_length = 64;
  const auto large = SequenceEncoder::from_tensors(small.tensors(), options, Task::kBinary, 2);
  const Sequences sequences(Matrix<float>::Random(60, 3), {0, 3, 60});
  EXPECT_EQ(small.encode(sequences), large.encode(sequences));
}

TEST(SequenceEncoder, PoolingTrainsWhatItEncodes) {
  EncoderOptions options = quick();
  options.training.max_epochs = 1;
  const Data test = generate(Task::kBinary, 60, 3);
  const auto last = fit(Task::kBinary, options);
  for (const char* pooling : {"mean", "max"}) {
    options.pooling = pooling;
    // The weights of `last` under another pooling: for one event there is nothing to pool.
    const auto encoder = SequenceEncoder::from_tensors(last.tensors(), options, Task::kBinary, 2);
    const Sequences single(Matrix<float>::Ones(2, 3), {0, 1, 2});
    EXPECT_EQ(encoder.encode(single), last.encode(single));
    EXPECT_NE(encoder.encode(test.sequences), last.encode(test.sequences));
    options.training.max_epochs = 12;
    const auto trained = fit(Task::kBinary, options);
    EXPECT_GT(
        nn::roc_auc(first_column(trained.decide(trained.encode(test.sequences))), test.y.values),
        0.95);
    for (const Index i : {0, 7, 59}) {
      EXPECT_EQ(trained.encode(test.sequences.subset({i})).row(0),
                trained.encode(test.sequences).row(i));
    }
    options.training.max_epochs = 1;
  }
}

TEST(SequenceEncoder, AttentionPoolingTrainsWhatItEncodes) {
  EncoderOptions options = quick();
  options.pooling = "attention";
  const Data test = generate(Task::kBinary, 60, 3);
  const auto trained = fit(Task::kBinary, options);
  const Matrix<float> embedding = trained.encode(test.sequences);
  EXPECT_GT(nn::roc_auc(first_column(trained.decide(embedding)), test.y.values), 0.95);
  for (const Index i : {0, 7, 59}) {
    EXPECT_EQ(trained.encode(test.sequences.subset({i})).row(0), embedding.row(i));
  }
  // The formula, in double, on the states that the encoder says it has.
  const auto tensors = trained.tensors();
  const Eigen::MatrixXd weight = tensors.at("pooling.weight").eigen().cast<double>();
  const Eigen::RowVectorXd bias = tensors.at("pooling.bias").eigen().row(0).cast<double>();
  const Eigen::VectorXd query = tensors.at("pooling.query").eigen().col(0).cast<double>();
  const Eigen::MatrixXd all = trained.encode_events(test.sequences).cast<double>();
  Index first = 0;
  for (Index i = 0; i < 60; ++i) {
    const Index length = test.sequences.view().length(i);
    const Eigen::MatrixXd states = all.middleRows(first, length);
    const Eigen::ArrayXd scores =
        ((states * weight).rowwise() + bias).array().tanh().matrix() * query;
    const Eigen::ArrayXd shares = (scores - scores.maxCoeff()).exp();
    const Eigen::RowVectorXd expected = (shares / shares.sum()).matrix().transpose() * states;
    EXPECT_LT((expected - embedding.row(i).cast<double>()).cwiseAbs().maxCoeff(), 1e-5);
    first += length;
  }
}

TEST(SequenceEncoder, LongSequencesThroughLayersInGroups) {
  // More events than are held at once, by several sequences and by one alone.
  EncoderOptions options = quick();
  options.n_layers = 2;
  options.training.max_epochs = 1;
  const auto encoder = fit(Task::kBinary, options);
  const Sequences sequences(Matrix<float>::Random(45000, 3), {0, 9000, 18000, 27500, 27510, 45000});
  const Matrix<float> together = encoder.encode(sequences);
  for (const Index i : {0, 1, 2, 3, 4}) {
    EXPECT_EQ(encoder.encode(sequences.subset({i})).row(0), together.row(i));
  }
}

TEST(SequenceEncoder, FitAndEncodeAreBitIdenticalAtAnyThreadCount) {
  EncoderOptions options = quick();
  options.training.max_epochs = 3;
  const Data test = generate(Task::kBinary, 500, 4);
  std::vector<Matrix<float>> results;
  for (const int threads : {1, 2, 3}) {
    options.training.num_threads = threads;
    results.push_back(fit(Task::kBinary, options).encode(test.sequences, threads));
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(SequenceEncoder, AScoreDoesNotDependOnTheBatch) {
  EncoderOptions options = quick();
  options.training.max_epochs = 1;
  const auto encoder = fit(Task::kMulticlass, options);
  const Data test = generate(Task::kBinary, 150, 5);
  const Matrix<float> all = encoder.encode(test.sequences);
  const Matrix<float> decided = encoder.decide(all);
  for (Index i = 0; i < 150; ++i) {
    const Matrix<float> one = encoder.encode(test.sequences.subset({i}));
    ASSERT_EQ(one.row(0), all.row(i)) << i;
    ASSERT_EQ(encoder.decide(one).row(0), decided.row(i)) << i;
  }
}

TEST(SequenceEncoder, SeedDecidesTheResult) {
  EncoderOptions options = quick();
  options.training.max_epochs = 1;
  const auto first = fit(Task::kBinary, options), again = fit(Task::kBinary, options);
  options.training.seed = 5;
  const auto other = fit(Task::kBinary, options);
  EXPECT_EQ(first.tensors(), again.tensors());
  EXPECT_NE(first.tensors().at("lstm.weight_hidden"), other.tensors().at("lstm.weight_hidden"));
}

TEST(SequenceEncoder, StandardisesOverTheEventsThatSequencesCover) {
  Matrix<float> values(6, 2);
  values << 1, 5, 3, 5, 1000, 1e9F, 5, 5, 7, 5, -1000, 0;
  // Rows 2 and 5 belong to no sequence; row 1 belongs to two and counts once.
  const Sequences sequences(values, {0, 1, 3, 4}, {2, 2, 5, 5});
  const Targets y{Task::kBinary, 2, {0, 1, 0, 1}};
  EncoderOptions options = quick();
  options.training.max_epochs = 1;
  const auto encoder = SequenceEncoder::fit(sequences, y, sequences, y, options);
  const auto tensors = encoder.tensors();
  EXPECT_FLOAT_EQ(tensors.at("feature.mean")(0, 0), 4.0F);
  EXPECT_FLOAT_EQ(tensors.at("feature.scale")(0, 0), 1.0F / std::sqrt(5.0F));
  EXPECT_FLOAT_EQ(tensors.at("feature.mean")(0, 1), 5.0F);
  EXPECT_FLOAT_EQ(tensors.at("feature.scale")(0, 1), 1.0F);
}

TEST(SequenceEncoder, ClassWeightsMoveTheBaseRate) {
  EncoderOptions options = quick();
  options.training.max_epochs = 1;
  options.training.learning_rate = 1e-6;
  const auto plain = fit(Task::kBinary, options);
  options.class_weight = {1.0F, 20.0F};
  const auto weighted = fit(Task::kBinary, options);
  const Data test = generate(Task::kBinary, 50, 5);
  const Matrix<float> before = plain.decide(plain.encode(test.sequences));
  const Matrix<float> after = weighted.decide(weighted.encode(test.sequences));
  EXPECT_NEAR((after - before).mean(), std::log(20.0F), 0.01F);
}

TEST(SequenceEncoder, CopiesAndTensorsGiveTheSameBits) {
  for (const Task task : {Task::kBinary, Task::kMulticlass, Task::kRegression}) {
    EncoderOptions options = quick();
    options.training.max_epochs = 1;
    const auto encoder = fit(task, options);
    const Data test = generate(task, 40, 6);
    const Matrix<float> expected = encoder.encode(test.sequences);
    const SequenceEncoder copy = encoder;  // NOLINT: the copy is what is tested
    const auto rebuilt =
        SequenceEncoder::from_tensors(encoder.tensors(), options, task, encoder.n_classes());
    for (const SequenceEncoder* other : {&copy, &rebuilt}) {
      EXPECT_EQ(other->encode(test.sequences), expected);
      EXPECT_EQ(other->decide(expected), encoder.decide(expected));
      EXPECT_EQ(other->input_features(), 3);
      EXPECT_EQ(other->n_outputs(), encoder.n_outputs());
      EXPECT_EQ(other->task(), task);
    }
  }
}

TEST(SequenceEncoder, TensorsThatDoNotFitAreRefusedByName) {
  EncoderOptions options = quick();
  options.training.max_epochs = 1;
  const auto good = fit(Task::kBinary, options).tensors();
  const auto message = [&](auto change) -> std::string {
    auto tensors = good;
    change(tensors);
    try {
      SequenceEncoder::from_tensors(tensors, options, Task::kBinary, 2);
    } catch (const FileError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message([](auto& t) { t.erase("lstm.bias"); }),
            "encoder: tensor 'lstm.bias' is missing");
  EXPECT_EQ(message([](auto& t) { t["lstm.weight_hidden_1"] = t["lstm.bias"]; }),
            "encoder: tensor 'lstm.weight_hidden_1' is not known");
  EXPECT_EQ(message([](auto& t) { t["lstm.weight_hidden"] = Matrix<float>::Zero(11, 48); }),
            "encoder: tensor 'lstm.weight_hidden' has shape [11, 48], expected [12, 48]");
  EXPECT_EQ(message([](auto& t) { t["lstm.weight_input"] = Matrix<float>::Zero(3, 47); }),
            "encoder: tensor 'lstm.weight_input' has shape [3, 47], expected [3, 48]");
  EXPECT_EQ(message([](auto& t) { t["feature.mean"] = Matrix<float>::Zero(1, 2); }),
            "encoder: tensor 'feature.scale' has shape [1, 3], expected [1, 2]");
  EXPECT_EQ(message([](auto& t) { testing::set(t["head.weight"], 3, 0, std::nanf("")); }),
            "encoder: tensor 'head.weight' holds a value that is not finite");
  EXPECT_EQ(message([](auto&) {}), "accepted");
}

TEST(SequenceEncoder, BadInputIsRefusedByName) {
  const auto message = [](auto change) -> std::string {
    Data training = generate(Task::kBinary, 20, 1), validation = generate(Task::kBinary, 10, 2);
    EncoderOptions options = quick();
    options.training.max_epochs = 1;
    change(training, validation, options);
    try {
      SequenceEncoder::fit(training.sequences, training.y, validation.sequences, validation.y,
                           options);
    } catch (const InvalidArgument& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message([](auto&, auto&, auto&) {}), "accepted");
  EXPECT_EQ(message([](auto&, auto&, auto& o) { o.cell = "rnn"; }),
            "cell: 'rnn' is not one of 'lstm', 'gru', 'transformer'");
  EXPECT_EQ(message([](auto&, auto&, auto& o) { o.hidden_size = 0; }),
            "hidden_size: expected at least 1, got 0");
  EXPECT_EQ(message([](auto&, auto&, auto& o) { o.n_layers = 5; }),
            "n_layers: expected 1 to 4, got 5");
  EXPECT_EQ(message([](auto&, auto&, auto& o) { o.pooling = "median"; }),
            "pooling: 'median' is not one of 'last', 'mean', 'max', 'attention'");
  EXPECT_EQ(message([](auto&, auto&, auto& o) { o.dropout = 1.0; }),
            "dropout: expected at least 0 and below 1, got 1.000000");
  EXPECT_EQ(message([](auto&, auto&, auto& o) { o.class_weight = {1.0F}; }),
            "class_weight: expected 2 weights, one per class, got 1");
  EXPECT_EQ(message([](auto& t, auto&, auto&) { t.y.values.pop_back(); }),
            "y: expected 20 labels, got 19");
  EXPECT_EQ(message([](auto&, auto& v, auto&) { v.y.values.pop_back(); }),
            "y_validation: expected 10 labels, got 9");
  EXPECT_EQ(message([](auto&, auto& v, auto&) { v.y.values[3] = 2.0F; }),
            "y_validation: value at row 3 is not a class number 0..1");
  EXPECT_EQ(message([](auto&, auto& v, auto&) {
              v = {Sequences(Matrix<float>::Zero(2, 2), {0, 1, 2}), {Task::kBinary, 2, {0, 1}}};
            }),
            "validation: expected 3 features per event, as in training, got 2");
  EXPECT_EQ(message([](auto&, auto& v, auto&) {  // the training loss decides
              v.sequences = v.sequences.subset({});
              v.y.values.clear();
            }),
            "accepted");
  EXPECT_EQ(message([](auto&, auto&, auto& o) { o.labels_per = "day"; }),
            "labels_per: 'day' is not one of 'sequence', 'event'");
  EXPECT_EQ(message([](auto&, auto&, auto& o) { o.selection = "f1"; }),
            "selection: 'f1' is not one of 'auto', 'auc', 'ap', 'loss'");
  EXPECT_EQ(message([](auto&, auto&, auto& o) {
              o.cell = "transformer";
              o.transformer.n_heads = 5;
            }),
            "n_heads: expected a divisor of hidden_size 12, got 5");
  EXPECT_EQ(message([](auto&, auto&, auto& o) {
              o.cell = "transformer";
              o.transformer.positions = "learned";
              o.transformer.max_length = 4;
            }),
            "sequences: expected at most max_length=4 events with learned positions, got 8");
  EXPECT_EQ(message([](auto&, auto&, auto& o) { o.categorical = {{3}}; }),
            "categorical: expected columns below 3, got 3");
  EXPECT_EQ(message([](auto&, auto&, auto& o) {
              o.categorical = {{1}, {1}};
            }),
            "categorical: expected increasing columns, got 1 after 1");
  EXPECT_EQ(message([](auto&, auto&, auto& o) { o.time_features = true; }),
            "training: the encoder reads when events happened; got sequences without times");
  EXPECT_EQ(message([](auto&, auto& v, auto&) {  // one class in validation: stop by the loss
              std::fill(v.y.values.begin(), v.y.values.end(), 0.0F);
            }),
            "accepted");
}

TEST(SequenceEncoder, EncodeRefusesWhatItCannotRead) {
  EncoderOptions options = quick();
  options.training.max_epochs = 1;
  const auto encoder = fit(Task::kBinary, options);
  try {
    encoder.encode(Sequences(Matrix<float>::Zero(3, 2), {0, 3}));
    FAIL() << "accepted";
  } catch (const InvalidArgument& error) {
    EXPECT_STREQ(error.what(), "sequences: expected 3 features per event, as in training, got 2");
  }
  Matrix<float> values = Matrix<float>::Zero(3, 3);
  values(1, 2) = std::numeric_limits<float>::infinity();
  const std::int64_t start = 0, stop = 3;
  EXPECT_THROW(encoder.encode({values, &start, &stop, 1}), InvalidArgument);
  EXPECT_THROW(encoder.decide(values), InvalidArgument);
  values(1, 2) = 0.0F;
  EXPECT_EQ(encoder.encode({values, &start, &stop, 0}).rows(), 0);
}

TEST(SequenceEncoder, InterruptedBeforeAnEpochThereIsNoEncoder) {
  int calls = 0;
  EXPECT_THROW(fit(Task::kBinary, quick(),
                   [&](const Progress& p) {
                     EXPECT_EQ(p.stage, "encoder");
                     return ++calls < 1;
                   }),
               Interrupted);
  EXPECT_EQ(calls, 1);
}

TEST(SequenceEncoder, InterruptedLaterItKeepsTheBestWeights) {
  EncoderOptions options = quick();
  options.training.max_epochs = 1;
  const auto one_epoch = fit(Task::kBinary, options);
  options.training.max_epochs = 12;
  bool trained = false;
  const auto interrupted = fit(Task::kBinary, options, [&](const Progress& p) {
    trained = trained || !p.message.empty();  // an epoch's result
    return !trained;
  });
  EXPECT_EQ(interrupted.report().stop_reason, "interrupted");
  EXPECT_EQ(interrupted.report().epochs.size(), 1U);
  EXPECT_EQ(interrupted.tensors(), one_epoch.tensors());
}

TEST(SequenceEncoder, ServesManyThreads) {
  EncoderOptions options = quick();
  options.training.max_epochs = 1;
  const auto encoder = fit(Task::kBinary, options);
  const Data test = generate(Task::kBinary, 60, 6);
  const Matrix<float> expected = encoder.encode(test.sequences);
  std::vector<Matrix<float>> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) {
    threads.emplace_back([&] { result = encoder.encode(test.sequences, 1); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

}  // namespace
}  // namespace ecseq
