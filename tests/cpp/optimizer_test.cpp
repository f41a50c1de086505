#include "ecseq/nn/optimizer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/nn/learning_rate.hpp"
#include "ecseq/nn/training.hpp"
#include "golden_file.hpp"

namespace ecseq {
namespace {

using nn::BoundParameters;
using nn::LearningRate;
using nn::Parameters;
using nn::ValidationScore;

/// Follows `name` over a few gradients; expected(t, g, p) is p after step t = 1, 2, ...
template <class Expected>
void expect_steps(const std::string& name, double decay, const Expected& expected) {
  const auto optimizer = nn::make_optimizer(name, 1, decay, 0.8);
  std::vector<float> p{2.0F};
  double reference = 2.0;
  for (int t = 1; t <= 5; ++t) {
    const double g = 0.3 * t - 0.7;
    optimizer->step(p, std::vector<float>{static_cast<float>(g)}, 0.1);
    reference = expected(t, g, reference);
    EXPECT_NEAR(p[0], reference, 1e-5) << name << ", step " << t;
  }
}

TEST(Optimizer, StepsFollowTheEquations) {
  for (const double decay : {0.0, 0.5}) {
    double m = 0, v = 0, velocity = 0;
    const auto adam = [&](int t, double g) {
      m = 0.9 * m + 0.1 * g;
      v = 0.999 * v + 0.001 * g * g;
      return 0.1 * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
    };
    expect_steps("adamw", decay,
                 [&](int t, double g, double p) { return p - 0.1 * decay * p - adam(t, g); });
    m = v = 0;
    expect_steps("adam", decay,
                 [&](int t, double g, double p) { return p - adam(t, g + decay * p); });
    expect_steps("sgd", decay, [&](int, double g, double p) {
      velocity = 0.8 * velocity + g + decay * p;
      return p - 0.1 * velocity;
    });
  }
}

TEST(Optimizer, AnUnknownNameIsRefused) {
  EXPECT_THROW(nn::make_optimizer("adamax", 1, 0.0, 0.9), InvalidArgument);
  EXPECT_THROW(LearningRate("step", 0.1, 10, 2), InvalidArgument);
}

TEST(LearningRate, CosineGoesFromTheStartToZeroOverTheSteps) {
  LearningRate rate("cosine", 0.2, 8, 2);
  for (int step = 0; step <= 8; ++step) {
    EXPECT_NEAR(rate.now(), 0.1 * (1 + std::cos(step * std::acos(-1.0) / 8)), 1e-15) << step;
    rate.finish_step();
    rate.finish_epoch(false);
  }
}

TEST(LearningRate, PlateauHalvesAfterTheEpochsItWaitsDownToAThousandth) {
  LearningRate rate("plateau", 0.8, 1, 3);
  const auto epochs = [&](int count, bool better) {
    for (int i = 0; i < count; ++i) rate.finish_epoch(better);
    return rate.now();
  };
  EXPECT_EQ(epochs(5, true), 0.8);
  EXPECT_EQ(epochs(2, false), 0.8);
  EXPECT_EQ(epochs(1, true), 0.8) << "a better epoch starts the wait again";
  EXPECT_EQ(epochs(2, false), 0.8);
  EXPECT_EQ(epochs(1, false), 0.4);
  EXPECT_EQ(epochs(3, false), 0.2);
  EXPECT_EQ(epochs(1, true), 0.2) << "a rate is never raised";
  EXPECT_EQ(epochs(300, false), 0.8 * 1e-3);
}

/// The logistic regression of tests/parity/optimizers_torch.py.
struct Logistic {
  static constexpr Index kSamples = 24, kFeatures = 5;
  static constexpr int kEpochs = 40;
  Matrix<float> x{kSamples, kFeatures}, y{kSamples, 1};
  Parameters<float> parameters;
  int weight, bias;

  Logistic() {
    Rng rng(1);
    for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.uniform(-2, 2));
    for (Index i = 0; i < y.size(); ++i) y(i, 0) = rng.uniform(-1, 1) > 0 ? 1.0F : 0.0F;
    weight = parameters.add_uniform("weight", kFeatures, 1, 1.0, rng);
    bias = parameters.add("bias", 1, 1);
  }

  nn::ShardLoss shard_loss() const {
    return [this](const BoundParameters<float>& p, std::span<const Index> rows, Rng&) {
      const auto n = static_cast<Index>(rows.size());
      const auto inputs = p.tape().constant(n, kFeatures);
      float* targets = p.tape().scratch(n);
      for (Index i = 0; i < n; ++i) {
        inputs.value().row(i) = x.row(rows[static_cast<std::size_t>(i)]);
        targets[i] = y(rows[static_cast<std::size_t>(i)], 0);
      }
      return autograd::binary_cross_entropy(autograd::linear(inputs, p[weight], p[bias]),
                                            {targets, n, 1}, nullptr);
    };
  }
};

TEST(Optimizer, TrajectoriesAreTorchs) {
  const testing::GoldenFile expected("optimizers.txt");
  for (const std::string optimizer : {"adam", "adamw", "sgd", "sgd_plain"}) {
    for (const std::string schedule : {"constant", "cosine", "plateau"}) {
      const std::string name = optimizer + "." + schedule;
      Logistic problem;
      nn::TrainingOptions options;
      const bool plain = optimizer == "sgd_plain";
      options.optimizer = plain ? "sgd" : optimizer;
      options.momentum = plain ? 0.0 : 0.9;
      options.weight_decay = plain ? 0.0 : 0.1;
      options.schedule = schedule;
      options.learning_rate = 0.05;
      options.clip_norm = 0.0;
      options.batch_size = Logistic::kSamples;
      options.shard_size = 7;
      options.max_epochs = options.patience = Logistic::kEpochs;
      std::vector<double> weights;
      const auto validate = [&](const Parameters<float>& p) {
        const auto epoch = static_cast<double>(weights.size() / p.flat().size());
        weights.insert(weights.end(), p.flat().begin(), p.flat().end());
        return ValidationScore{std::min(epoch, 6.0) + (epoch >= 15 ? 1.0 : 0.0), 0.0};
      };
      const auto report = nn::train(problem.parameters,
                                    {Logistic::kSamples, problem.shard_loss(), validate}, options);
      ASSERT_EQ(report.epochs.size(), std::size_t{Logistic::kEpochs});
      const auto& torch_weights = expected.at(name + ".weights");
      const auto& torch_rates = expected.at(name + ".rates");
      ASSERT_EQ(torch_weights.size(), weights.size());
      ASSERT_EQ(torch_rates.size(), report.epochs.size());
      for (std::size_t i = 0; i < weights.size(); ++i) {
        ASSERT_NEAR(weights[i], torch_weights[i], 1e-5) << name << ", value " << i;
      }
      for (std::size_t i = 0; i < torch_rates.size(); ++i) {
        EXPECT_NEAR(report.epochs[i].learning_rate, torch_rates[i], 1e-9) << name << ", " << i;
      }
    }
  }
}

}  // namespace
}  // namespace ecseq
