#include "ecseq/nn/training.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "ecseq/autograd/operations.hpp"

namespace ecseq {
namespace {

using nn::BoundParameters;
using nn::Parameters;
using nn::TrainingOptions;
using nn::ValidationScore;

/// Two inputs, label = whether their signs differ: no linear model learns it.
struct Xor {
  Matrix<float> x;
  Matrix<float> y;
  Parameters<float> parameters;
  int w1, b1, w2, b2;

  explicit Xor(Index n = 600) : x(n, 2), y(n, 1) {
    Rng rng(11);
    for (Index i = 0; i < n; ++i) {
      x(i, 0) = static_cast<float>(rng.uniform(-1, 1));
      x(i, 1) = static_cast<float>(rng.uniform(-1, 1));
      y(i, 0) = (x(i, 0) > 0) != (x(i, 1) > 0) ? 1.0F : 0.0F;
    }
    w1 = parameters.add_uniform("w1", 2, 16, 1.0, rng);
    b1 = parameters.add("b1", 1, 16);
    w2 = parameters.add_uniform("w2", 16, 1, 0.5, rng);
    b2 = parameters.add("b2", 1, 1);
  }

  autograd::Variable<float> loss(const BoundParameters<float>& p, std::span<const Index> rows,
                                 Rng& rng, double rate) const {
    const auto n = static_cast<Index>(rows.size());
    auto& tape = p.tape();
    const auto xs = tape.constant(n, 2);
    float* ys = tape.scratch(n);
    for (Index i = 0; i < n; ++i) {
      xs.value().row(i) = x.row(rows[static_cast<std::size_t>(i)]);
      ys[i] = y(rows[static_cast<std::size_t>(i)], 0);
    }
    auto hidden = autograd::tanh(autograd::linear(xs, p[w1], p[b1]));
    hidden = autograd::dropout(hidden, rate, rng);
    return autograd::binary_cross_entropy(autograd::linear(hidden, p[w2], p[b2]), {ys, n, 1},
                                          nullptr);
  }

  nn::ShardLoss shard_loss(double rate = 0.0) const {
    return [this, rate](const BoundParameters<float>& p, std::span<const Index> rows, Rng& rng) {
      return loss(p, rows, rng, rate);
    };
  }

  double accuracy(const Parameters<float>& p) const {
    Index right = 0;
    for (Index i = 0; i < x.rows(); ++i) {
      const RowVector<float> h =
          (x.row(i) * p.view(w1).eigen() + p.view(b1).eigen()).array().tanh();
      const float z = (h * p.view(w2).eigen())(0, 0) + p.view(b2)(0, 0);
      right += (z > 0) == (y(i, 0) > 0.5F);
    }
    return static_cast<double>(right) / static_cast<double>(x.rows());
  }
  nn::Validate validate() const {
    return [this](const Parameters<float>& p) { return ValidationScore{accuracy(p), 0.0}; };
  }
  nn::TrainingProblem task(double rate = 0.0, std::span<const Index> costs = {}) const {
    return {x.rows(), shard_loss(rate), validate(), costs};
  }
};

TrainingOptions quick() {
  TrainingOptions options;
  options.batch_size = 100;
  options.shard_size = 16;
  options.learning_rate = 2e-2;
  options.max_epochs = 60;
  options.patience = 60;
  return options;
}

TEST(Training, LearnsXor) {
  Xor problem;
  const auto report = nn::train(problem.parameters, problem.task(), quick());
  EXPECT_GT(problem.accuracy(problem.parameters), 0.97);
  EXPECT_EQ(report.stop_reason, "max_epochs");
  ASSERT_EQ(report.epochs.size(), 60U);
  EXPECT_LT(report.epochs.back().training_loss, 0.3 * report.epochs.front().training_loss);
}

TEST(Training, IsBitIdenticalAtAnyThreadCount) {
  std::vector<Index> costs(600);
  for (std::size_t i = 0; i < costs.size(); ++i) costs[i] = static_cast<Index>(i % 7);
  for (const std::string optimizer : {"adamw", "sgd"}) {
    std::vector<std::vector<float>> results;
    for (const int threads : {1, 2, 3}) {
      Xor problem;
      TrainingOptions options = quick();
      options.max_epochs = 7;
      options.num_threads = threads;
      options.optimizer = optimizer;
      if (optimizer == "sgd") {
        options.accumulate = 2;
        options.bucket_by_length = true;
        options.schedule = "cosine";
      }
      nn::train(problem.parameters, problem.task(0.3, costs), options);
      results.push_back(problem.parameters.flat());
    }
    EXPECT_EQ(results[0], results[1]) << optimizer;
    EXPECT_EQ(results[0], results[2]) << optimizer;
  }
}

TEST(Training, SeedDecidesShufflingAndDropout) {
  std::vector<std::vector<float>> results;
  for (const std::uint64_t seed : {1, 1, 2}) {
    Xor problem;
    TrainingOptions options = quick();
    options.max_epochs = 2;
    options.seed = seed;
    nn::train(problem.parameters, problem.task(0.3), options);
    results.push_back(problem.parameters.flat());
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_NE(results[0], results[2]);
}

TEST(Training, EarlyStoppingRestoresTheBestWeights) {
  Xor problem;
  TrainingOptions options = quick();
  options.patience = 3;
  std::vector<float> at_best;
  int epoch = 0;
  const auto report = nn::train(problem.parameters,
                                {problem.x.rows(), problem.shard_loss(),
                                 [&](const Parameters<float>& p) {
                                   if (epoch == 4) at_best = p.flat();
                                   const double score =
                                       epoch <= 4 ? epoch : 4;  // a tie is no progress
                                   ++epoch;
                                   return ValidationScore{score, 0.0};
                                 }},
                                options);
  EXPECT_EQ(report.best_epoch, 4);
  EXPECT_EQ(report.epochs.size(), 8U);
  EXPECT_EQ(report.stop_reason, "early_stopping");
  EXPECT_EQ(problem.parameters.flat(), at_best);
}

/// A loss that becomes NaN from step `bad` on.
nn::ShardLoss poisoned(const Xor& problem, int& calls, int bad) {
  return [&problem, &calls, bad](const BoundParameters<float>& p, std::span<const Index> rows,
                                 Rng& rng) {
    const auto loss = problem.loss(p, rows, rng, 0.0);
    if (calls++ < bad) return loss;
    return autograd::add_scaled(loss, loss, std::numeric_limits<float>::quiet_NaN());
  };
}

TEST(Training, DivergenceInTheFirstEpochThrowsWithAdviceAndChangesNothing) {
  Xor problem;
  const auto before = problem.parameters.flat();
  TrainingOptions options = quick();
  options.num_threads = 1;
  int calls = 0;
  try {
    nn::train(problem.parameters,
              {problem.x.rows(), poisoned(problem, calls, 0), problem.validate()}, options);
    FAIL() << "no divergence noticed";
  } catch (const Diverged& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("epoch 1"), std::string::npos) << text;
    EXPECT_NE(text.find("lower learning_rate (now 0.02)"), std::string::npos) << text;
    EXPECT_NE(text.find("clip_norm"), std::string::npos) << text;
  }
  EXPECT_EQ(problem.parameters.flat(), before);
}

TEST(Training, LaterDivergenceKeepsTheBestWeights) {
  Xor problem;
  TrainingOptions options = quick();
  options.num_threads = 1;
  const int shards_per_epoch = 6 * 7;
  int calls = 0;
  std::vector<float> last;
  const auto report = nn::train(problem.parameters,
                                {problem.x.rows(), poisoned(problem, calls, 3 * shards_per_epoch),
                                 [&](const Parameters<float>& p) {
                                   last = p.flat();
                                   return ValidationScore{static_cast<double>(calls), 0.0};
                                 }},
                                options);
  EXPECT_EQ(report.stop_reason, "diverged");
  EXPECT_EQ(report.best_epoch, 2);
  EXPECT_EQ(problem.parameters.flat(), last);
}

TEST(Training, InterruptionAfterAnEpochReturnsTheBestWeightsAndTheReport) {
  Xor problem;
  std::vector<float> best;
  int epoch = 0;
  const auto validate = [&](const Parameters<float>& p) {
    if (epoch == 1) best = p.flat();
    return ValidationScore{epoch++ == 1 ? 1.0 : 0.0, 0.0};
  };
  const auto report =
      nn::train(problem.parameters, {problem.x.rows(), problem.shard_loss(), validate}, quick(),
                [&](const Progress&) { return epoch < 5; });
  EXPECT_EQ(report.stop_reason, "interrupted");
  EXPECT_EQ(report.best_epoch, 1);
  EXPECT_EQ(report.epochs.size(), 5U);
  EXPECT_GT(report.seconds, 0.0);
  EXPECT_EQ(problem.parameters.flat(), best);
}

TEST(Training, AnInterruptedValidationCountsAsNoEpoch) {
  for (const int finished : {0, 3}) {
    Xor problem;
    std::vector<float> best;
    int epoch = 0;
    const auto validate = [&](const Parameters<float>& p) {
      if (epoch++ == finished) throw Interrupted();
      best = p.flat();
      return ValidationScore{static_cast<double>(epoch), 0.0};
    };
    const nn::TrainingProblem task{problem.x.rows(), problem.shard_loss(), validate};
    if (finished == 0) {
      EXPECT_THROW(nn::train(problem.parameters, task, quick()), Interrupted);
      continue;
    }
    const auto report = nn::train(problem.parameters, task, quick());
    EXPECT_EQ(report.stop_reason, "interrupted");
    EXPECT_EQ(report.epochs.size(), 3U);
    EXPECT_EQ(problem.parameters.flat(), best);
  }
}

TEST(Training, AnyOtherExceptionLeavesTheBestWeights) {
  Xor problem;
  std::vector<float> best;
  int epoch = 0;
  const auto validate = [&](const Parameters<float>& p) {
    if (epoch++ == 2) throw InvalidArgument("the third epoch");
    best = p.flat();
    return ValidationScore{static_cast<double>(epoch), 0.0};
  };
  EXPECT_THROW(
      nn::train(problem.parameters, {problem.x.rows(), problem.shard_loss(), validate}, quick()),
      InvalidArgument);
  EXPECT_EQ(problem.parameters.flat(), best);
}

TEST(Training, ProgressNamesTheStageAndCountsSamples) {
  Xor problem;
  TrainingOptions options = quick();
  options.max_epochs = 3;
  options.stage = "gnn";
  std::vector<Progress> seen;
  nn::train(problem.parameters, problem.task(), options, [&](const Progress& p) {
    seen.push_back(p);
    return true;
  });
  ASSERT_GE(seen.size(), 4U);
  EXPECT_EQ(seen.front().done, 0);
  EXPECT_EQ(seen.back().done, 3 * 600);
  EXPECT_EQ(seen.back().total, 3 * 600);
  EXPECT_EQ(seen.back().stage, "gnn");
  EXPECT_EQ(seen.back().message.rfind("loss 0.", 0), 0U) << seen.back().message;
  EXPECT_NE(seen.back().message.find("validation 0."), std::string::npos) << seen.back().message;
}

TEST(Training, ShardsFollowRowCosts) {
  Xor problem(50);
  std::vector<Index> costs(50);
  for (std::size_t i = 0; i < costs.size(); ++i) costs[i] = static_cast<Index>((i * 7) % 50);
  TrainingOptions options = quick();
  options.max_epochs = 1;
  options.batch_size = 50;
  options.shard_size = 8;
  options.num_threads = 1;
  std::vector<Index> seen;
  nn::train(problem.parameters,
            {50,
             [&](const BoundParameters<float>& p, std::span<const Index> rows, Rng& rng) {
               for (const Index row : rows) seen.push_back(costs[static_cast<std::size_t>(row)]);
               return problem.loss(p, rows, rng, 0.0);
             },
             problem.validate(), costs},
            options);
  ASSERT_EQ(seen.size(), 50U);
  EXPECT_TRUE(std::is_sorted(seen.rbegin(), seen.rend()));
}

TEST(Training, AccumulatedBatchesAreOneLargerBatch) {
  // 600 samples: batches of 100, three to a step, and a step of one batch that is not full.
  const auto trained = [](Index batch_size, Index accumulate, Index n, int& steps) {
    Xor problem(n);
    TrainingOptions options = quick();
    options.batch_size = batch_size;
    options.accumulate = accumulate;
    options.shard_size = 25;
    options.max_epochs = 5;
    options.schedule = "cosine";
    auto task = problem.task();
    task.after_step = [&](Parameters<float>&) { ++steps; };
    nn::train(problem.parameters, task, options);
    return problem.parameters.flat();
  };
  for (const Index n : {600, 730}) {
    int steps_small = 0, steps_large = 0, steps_alone = 0;
    const auto small = trained(100, 3, n, steps_small);
    const auto large = trained(300, 1, n, steps_large);
    EXPECT_EQ(steps_small, n == 600 ? 10 : 15);
    EXPECT_EQ(steps_large, steps_small);
    for (std::size_t i = 0; i < small.size(); ++i) EXPECT_NEAR(small[i], large[i], 1e-4F);
    const auto alone = trained(100, 1, n, steps_alone);
    EXPECT_NE(alone, small);
    EXPECT_GT(steps_alone, 2 * steps_small);
  }
}

TEST(Training, BucketsHoldLikeCostsAndEverySampleOnce) {
  constexpr Index kSamples = 1000, kBatch = 20;  // three windows of 16 batches and a part of one
  Xor problem(kSamples);
  std::vector<Index> costs(kSamples);
  for (std::size_t i = 0; i < costs.size(); ++i) costs[i] = static_cast<Index>((i * 37) % 500);
  TrainingOptions options = quick();
  options.max_epochs = 2;
  options.batch_size = options.shard_size = kBatch;
  options.num_threads = 1;
  options.bucket_by_length = true;
  std::vector<std::vector<Index>> batches;
  auto task = problem.task(0.0, costs);
  task.shard_loss = [&](const BoundParameters<float>& p, std::span<const Index> rows, Rng& rng) {
    batches.emplace_back(rows.begin(), rows.end());
    return problem.loss(p, rows, rng, 0.0);
  };
  nn::train(problem.parameters, task, options);
  ASSERT_EQ(batches.size(), 100U);
  std::vector<Index> largest;
  for (const std::size_t epoch : {0U, 1U}) {
    std::vector<int> seen(kSamples);
    double spread = 0.0;
    for (std::size_t b = 50 * epoch; b < 50 * (epoch + 1); ++b) {
      for (const Index row : batches[b]) ++seen[static_cast<std::size_t>(row)];
      const Index high = costs[static_cast<std::size_t>(batches[b].front())];
      const Index low = costs[static_cast<std::size_t>(batches[b].back())];
      EXPECT_GE(high, low);
      spread += static_cast<double>(high - low) / 50;
      if (epoch == 0) largest.push_back(high);
    }
    EXPECT_EQ(seen, std::vector<int>(kSamples, 1));
    // Of 500 possible costs: a sixteenth of a whole window, half of the last one's two batches.
    EXPECT_LT(spread, 60.0);
  }
  EXPECT_FALSE(std::is_sorted(largest.begin(), largest.begin() + 16, std::greater<>()));
  EXPECT_NE(batches[0], batches[50]) << "the epochs have one order";
}

TEST(Training, AfterEachStepTheHookMayChangeTheParameters) {
  Xor problem;
  TrainingOptions options = quick();
  options.max_epochs = 3;
  int steps = 0;
  auto task = problem.task();
  task.after_step = [&](Parameters<float>& parameters) {
    ++steps;
    for (Index i = 0; i < 16; ++i) {
      float& weight = parameters.writable(problem.w2)[i];
      weight = std::clamp(weight, -0.1F, 0.1F);
    }
  };
  nn::train(problem.parameters, task, options);
  EXPECT_EQ(steps, 3 * 6);
  EXPECT_LE(problem.parameters.view(problem.w2).eigen().cwiseAbs().maxCoeff(), 0.1F);
  EXPECT_GT(problem.parameters.view(problem.w1).eigen().cwiseAbs().maxCoeff(), 0.1F);
}

TEST(Training, BadOptionsAreRefusedByName) {
  const auto message = [](auto change) -> std::string {
    Xor problem(10);
    TrainingOptions options = quick();
    change(options);
    try {
      nn::train(problem.parameters, problem.task(), options);
    } catch (const InvalidArgument& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message([](auto& o) { o.batch_size = 0; }), "batch_size: expected at least 1, got 0");
  EXPECT_EQ(message([](auto& o) { o.shard_size = -1; }), "shard_size: expected at least 1, got -1");
  EXPECT_EQ(message([](auto& o) { o.max_epochs = 0; }), "max_epochs: expected at least 1, got 0");
  EXPECT_EQ(message([](auto& o) { o.patience = 0; }), "patience: expected at least 1, got 0");
  EXPECT_EQ(message([](auto& o) { o.learning_rate = 0; }),
            "learning_rate: expected a positive number, got 0");
  EXPECT_EQ(message([](auto& o) { o.optimizer = "lion"; }),
            "optimizer: 'lion' is not one of 'adam', 'adamw', 'sgd'");
  EXPECT_EQ(message([](auto& o) { o.schedule = "linear"; }),
            "schedule: 'linear' is not one of 'constant', 'cosine', 'plateau'");
  EXPECT_EQ(message([](auto& o) { o.momentum = 1; }),
            "momentum: expected a number in [0, 1), got 1");
  EXPECT_EQ(message([](auto& o) { o.plateau_patience = 0; }),
            "plateau_patience: expected at least 1, got 0");
  EXPECT_EQ(message([](auto& o) { o.accumulate = 0; }), "accumulate: expected at least 1, got 0");
  EXPECT_EQ(message([](auto& o) { o.bucket_by_length = true; }),
            "bucket_by_length: expected false where there are no costs, got 1");
  Xor problem(10);
  const std::vector<Index> costs(9);
  EXPECT_THROW(nn::train(problem.parameters, problem.task(0.0, costs), quick()), InvalidArgument);
}

}  // namespace
}  // namespace ecseq
