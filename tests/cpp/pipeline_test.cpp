#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/pipeline/gate.hpp"
#include "ecseq/pipeline/metrics.hpp"
#include "ecseq/pipeline/model.hpp"
#include "ecseq/pipeline/split.hpp"
#include "ecseq/relation/entity_key.hpp"
#include "edit_tensor.hpp"
#include "relational_problem.hpp"

namespace ecseq::pipeline {
namespace {

double validation_metric(const Model& model, const char* who, const char* metric) {
  return nlohmann::json::parse(model.report())["validation"][who][metric].get<double>();
}

TEST(Metrics, EqualHandComputedValues) {
  Matrix<float> logits(4, 1);
  logits << -1.0f, 2.0f, 0.5f, 0.5f;
  const Targets y{Task::kBinary, 2, {0, 1, 0, 1}};
  const auto found = metrics(logits, y);
  EXPECT_NEAR(found.at("auc"), 0.875, 1e-12);  // 3 pairs right, one tie
  EXPECT_NEAR(found.at("ap"), 0.5 * 1.0 + 0.5 * 2.0 / 3.0, 1e-12);
  const double expected = (std::log1p(std::exp(-1.0)) + std::log1p(std::exp(-2.0)) +
                           std::log1p(std::exp(0.5)) + std::log1p(std::exp(-0.5))) /
                          4.0;
  EXPECT_NEAR(found.at("log_loss"), expected, 1e-6);
}

TEST(Metrics, ProbabilitiesSumToOne) {
  Matrix<float> logits(2, 3);
  logits << 1000.0f, 0.0f, -1000.0f, 0.1f, 0.2f, 0.3f;
  const Matrix<float> p = probabilities(Task::kMulticlass, logits);
  EXPECT_NEAR(p.row(0).sum(), 1.0, 1e-6);
  EXPECT_NEAR(p(0, 0), 1.0, 1e-6);
  EXPECT_NEAR(p(1, 2), std::exp(0.3) / (std::exp(0.1) + std::exp(0.2) + std::exp(0.3)), 1e-6);
}

TEST(Gate, KeepsTheBaseWhereTheHeadIsNoise) {
  Rng rng(1);
  Matrix<float> base(500, 1), head(500, 1);
  Targets y{Task::kBinary, 2, {}};
  for (Index i = 0; i < 500; ++i) {
    base(i, 0) = static_cast<float>(rng.normal());
    y.values.push_back(rng.uniform() < 1 / (1 + std::exp(-base(i, 0))) ? 1.0f : 0.0f);
    head(i, 0) = static_cast<float>(rng.normal());
  }
  const Gate gate = fit_gate(base, head, y);
  const auto before = metrics(base, y), after = metrics(gate.apply(base, head), y);
  EXPECT_GE(after.at("auc"), before.at("auc"));
  EXPECT_GE(after.at("ap"), before.at("ap"));
  EXPECT_LE(after.at("log_loss"), before.at("log_loss"));
}

TEST(Gate, IsNeverWorseOnItsOwnRows) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    for (const Task task : {Task::kBinary, Task::kMulticlass, Task::kRegression}) {
      Rng rng(seed);
      const Index n = 20 + rng.below(200), outputs = task == Task::kMulticlass ? 3 : 1;
      Matrix<float> base(n, outputs), head(n, outputs);
      Targets y{task, task == Task::kRegression ? 0 : task == Task::kBinary ? 2 : 3, {}};
      const double quality = rng.uniform();
      for (Index i = 0; i < n; ++i) {
        const Index c = rng.below(task == Task::kBinary ? 2 : 3);
        y.values.push_back(task == Task::kRegression ? static_cast<float>(5 + rng.normal())
                                                     : static_cast<float>(c));
        for (Index k = 0; k < outputs; ++k) {
          const double target = task == Task::kRegression ? y.values.back()
                                : task == Task::kBinary   ? 2.0 * double(c) - 1
                                                          : (c == k ? 2.0 : 0.0);
          base(i, k) = static_cast<float>(0.5 * target + rng.normal());
          head(i, k) = static_cast<float>(quality * target + rng.normal());
        }
      }
      const Gate gate = fit_gate(base, head, y);
      const auto before = metrics(base, y), after = metrics(gate.apply(base, head), y);
      for (const auto& [name, value] : before) {
        if (name == "recall_at_p90" || name == "mae") continue;
        const bool lower = name == "log_loss" || name == "rmse";
        EXPECT_GE(lower ? value - after.at(name) : after.at(name) - value, 0.0) << name << seed;
      }
    }
  }
}

/// The level drifts between training and validation: that is nothing a head knows better.
TEST(Gate, ARegressionsLevelIsNotMovedByValidation) {
  Rng rng(2);
  Matrix<float> base(400, 1), head(400, 1);
  Targets y{Task::kRegression, 0, {}};
  for (Index i = 0; i < 400; ++i) {
    const double truth = rng.normal();
    y.values.push_back(static_cast<float>(truth + 3.0));
    base(i, 0) = static_cast<float>(truth + 0.5 * rng.normal());
    head(i, 0) = static_cast<float>(base(i, 0) + 0.1 * rng.normal());
  }
  const Gate gate = fit_gate(base, head, y);
  EXPECT_EQ(gate.bias, 0.0);
  EXPECT_NEAR(gate.base_weight + gate.head_weight, 1.0, 1e-12);
  EXPECT_GE(gate.head_weight, 0.0);
}

TEST(Gate, ARegressionsHeadThatIsRightIsTaken) {
  Rng rng(3);
  Matrix<float> base(400, 1), head(400, 1);
  Targets y{Task::kRegression, 0, {}};
  for (Index i = 0; i < 400; ++i) {
    y.values.push_back(static_cast<float>(rng.normal()));
    base(i, 0) = static_cast<float>(y.values.back() + 1.0 * rng.normal());
    head(i, 0) = static_cast<float>(y.values.back() + 0.1 * rng.normal());
  }
  const Gate gate = fit_gate(base, head, y);
  EXPECT_TRUE(gate.stacked);
  EXPECT_GT(gate.head_weight, 0.9);
}

TEST(Split, KeepsTimeInOrderAndClassesInBothParts) {
  const std::vector<double> times{5, 1, 4, 2, 3, 5};
  const Split by_time = split_by_time(times, 0.4);
  EXPECT_EQ(by_time.training, (std::vector<Index>{1, 2, 3, 4}));
  EXPECT_EQ(by_time.validation, (std::vector<Index>{0, 5}));
  EXPECT_THROW(split_by_time(std::vector<double>(5, 1.0), 0.3), InvalidArgument);

  Targets y{Task::kBinary, 2, std::vector<float>(100, 0.0f)};
  for (std::size_t i = 0; i < 4; ++i) y.values[i * 20] = 1.0f;
  const Split random = split_at_random(y, 0.25, 3);
  EXPECT_EQ(random.training.size() + random.validation.size(), 100u);
  double positives = 0;
  for (const Index row : random.validation) positives += y.values[static_cast<std::size_t>(row)];
  EXPECT_EQ(positives, 1.0);
  EXPECT_THROW(split_at_random(y, 1.5, 3), InvalidArgument);
}

TEST(Model, LearnsWhatALinearBaseCannotAndIsNotWorse) {
  for (const Task task : {Task::kBinary, Task::kMulticlass, Task::kRegression}) {
    const Model model =
        fit(make_problem(3000, 1, task), make_problem(1000, 2, task), small_options());
    const char* metric = task == Task::kBinary       ? "auc"
                         : task == Task::kRegression ? "rmse"
                                                     : "accuracy";
    const double base = validation_metric(model, "base", metric);
    const double ours = validation_metric(model, "ecseq", metric);
    if (task == Task::kRegression) {
      EXPECT_LT(ours, 0.95 * base);
    } else {
      EXPECT_GT(ours, base + 0.05);
    }
  }
}

TEST(Model, AllTrainingModesLearn) {
  for (const char* mode : {"targets", "compressed", "joint", "pretrain"}) {
    ModelOptions options = small_options();
    options.similarity->n_representatives = 150;
    options.mode = mode;
    const Model model = fit(make_problem(3000, 1, Task::kMulticlass),
                            make_problem(1000, 2, Task::kMulticlass), options);
    EXPECT_GT(validation_metric(model, "ecseq", "accuracy"),
              validation_metric(model, "base", "accuracy") + 0.03)
        << mode;
  }
}

/// A model of every kind of graph layer.
struct Kind {
  const char* gnn;
  Index n_layers;
  bool residual;
};
const Kind kKinds[]{{"sage_mean", 1, true},  {"sage_mean", 1, false}, {"sage_mean", 2, true},
                    {"sage_max", 1, true},   {"sage_max", 2, false},  {"gcn", 1, true},
                    {"gcn", 2, false},       {"gat", 1, true},        {"gat", 2, true},
                    {"attention", 1, false}, {"attention", 2, true}};

ModelOptions of_kind(const Kind& kind) {
  ModelOptions options = small_options();
  options.gnn = kind.gnn;
  options.n_layers = kind.n_layers;
  options.residual = kind.residual;
  options.hidden_size = 16;
  options.training.max_epochs = 6;
  options.controls = false;
  return options;
}

TEST(Model, EveryGraphLayerLearnsAndKeepsItsBits) {
  const Problem training = make_problem(900, 41), validation = make_problem(400, 42);
  for (const Kind& kind : kKinds) {
    SCOPED_TRACE(std::string(kind.gnn) + std::to_string(kind.n_layers));
    ModelOptions options = of_kind(kind);
    options.gate = false;
    options.training.num_threads = 1;
    const Model model = fit(training, validation, options, true);
    options.training.num_threads = 2;
    const Model again = fit(training, validation, options, true);
    const Samples samples = validation.samples(true, false);
    const Matrix<float> outputs = model.decide(samples, 1);
    EXPECT_EQ(outputs, again.decide(samples, 2));
    EXPECT_EQ(outputs, Model::from_bytes(model.to_bytes()).decide(samples, 2));
    EXPECT_EQ(model.transform(samples, 2).cols(), 16);
    EXPECT_GT(metrics(outputs, validation.y).at("auc"),
              metrics(model.base(samples, 1), validation.y).at("auc") + 0.02);

    Samples alone = samples;
    alone.embedding = {validation.x.row(7).data(), 1, 5};
    alone.entities[0].keys = {validation.keys[7]};
    EXPECT_EQ(model.decide(alone, 1)(0, 0), outputs(7, 0));
    const auto explanation = model.explain(alone, 8, 1).front();
    EXPECT_EQ(explanation.score, outputs(7, 0));
    EXPECT_EQ(explanation.similar.size(), 8u);
  }
}

TEST(Model, EveryGraphLayerTrainsInEveryMode) {
  const Problem training = make_problem(600, 43), validation = make_problem(300, 44);
  for (const Kind& kind : kKinds) {
    for (const char* mode : {"compressed", "joint", "pretrain"}) {
      SCOPED_TRACE(std::string(kind.gnn) + std::to_string(kind.n_layers) + mode);
      ModelOptions options = of_kind(kind);
      options.mode = mode;
      const Model model = fit(training, validation, options);
      EXPECT_TRUE(model.decide(validation.samples(false, false), 2).allFinite());
    }
  }
}

TEST(Model, LossesAndHeadsOfEveryKindLearn) {
  for (const Task task : {Task::kBinary, Task::kMulticlass, Task::kRegression}) {
    const Problem training = make_problem(900, 45, task), validation = make_problem(400, 46, task);
    for (const char* loss : {"auto", "huber", "paper"}) {
      const bool fits =
          std::string(loss) == "auto" ||
          (std::string(loss) == "huber" ? task == Task::kRegression : task != Task::kMulticlass);
      ModelOptions options = small_options();
      options.loss = loss;
      options.head = {24, 12};
      options.activation = "tanh";
      options.controls = false;
      if (!fits) {
        EXPECT_THROW(fit(training, validation, options), InvalidArgument);
        continue;
      }
      const Model model = fit(training, validation, options);
      const Samples samples = validation.samples(false, false);
      EXPECT_LE(mean_loss(model.decide(samples, 1), validation.y),
                mean_loss(model.base(samples, 1), validation.y) + 1e-6);
      EXPECT_EQ(model.decide(samples, 1), Model::from_bytes(model.to_bytes()).decide(samples, 1));
    }
  }
}

TEST(Model, IsBitIdenticalForEveryThreadCountAndBatch) {
  const Problem training = make_problem(2000, 3), validation = make_problem(500, 4);
  ModelOptions options = small_options();
  options.entities.push_back(terminal_options());
  const Model two = fit(training, validation, options, true, true);
  options.training.num_threads = 1;
  const Model one = fit(training, validation, options, true, true);
  Problem later = make_problem(700, 5, Task::kBinary, 99, 60.0);
  const Matrix<float> scores = one.decide(later.samples(true, true), 1);
  EXPECT_EQ(scores, two.decide(later.samples(true, true), 2));
  for (const Index i : {Index{0}, Index{1}, Index{333}, Index{699}}) {
    Samples alone;
    alone.embedding = {later.x.row(i).data(), 1, 5};
    alone.entities = {{"terminal", {later.keys[static_cast<std::size_t>(i)]}}};
    alone.times = {later.times[static_cast<std::size_t>(i)]};
    EXPECT_EQ(one.decide(alone, 1)(0, 0), scores(i, 0));
  }
}

TEST(Model, EntitiesLiftWhatTheEmbeddingCannotKnow) {
  ModelOptions options = small_options();
  options.entities.push_back(terminal_options());
  for (const bool timed : {true, false}) {
    Problem training = make_problem(3000, 1), validation = make_problem(1000, 2);
    for (double& t : validation.times) t += 60 * kDay;
    const Model related = fit(training, validation, options, true, timed);
    EXPECT_GT(validation_metric(related, "ecseq", "auc"),
              validation_metric(related, "mlp", "auc") + 0.1);
    Rng rng(8);
    rng.shuffle(training.keys);
    rng.shuffle(validation.keys);
    const Model shuffled = fit(training, validation, options, true, timed);
    EXPECT_LT(validation_metric(shuffled, "ecseq", "auc"),
              validation_metric(shuffled, "mlp", "auc") + 0.03);
  }
}

TEST(Model, ReplayIsCausal) {
  ModelOptions options = small_options();
  options.entities.push_back(terminal_options());
  Problem training = make_problem(2000, 1), validation = make_problem(500, 2);
  for (double& t : validation.times) t += 60 * kDay;
  const Model model = fit(training, validation, options, true, true);
  Problem later = make_problem(600, 6, Task::kBinary, 99, 120.0);
  const Matrix<float> before = model.replay(later.samples(true, true), later.y);
  EXPECT_EQ(before, model.replay(later.samples(true, true), later.y)) << "replay changed the model";

  const std::size_t changed = 300;
  const double when = later.times[changed];
  Problem other = later;
  for (std::size_t i = changed; i < 600; ++i) {
    other.y.values[i] = 1.0f - other.y.values[i];
    other.keys[i] = other.keys[0];
    other.times[i] += 0.25 * kDay;
  }
  const Matrix<float> after = model.replay(other.samples(true, true), other.y);
  for (Index i = 0; i < 600; ++i) {
    if (later.times[static_cast<std::size_t>(i)] < when) {
      EXPECT_EQ(before(i, 0), after(i, 0));
    }
  }
  // A label is not seen before its delay has passed, and is seen after it.
  Problem relabelled = later;
  relabelled.y.values[changed] = 1.0f - relabelled.y.values[changed];
  const Matrix<float> seen = model.replay(relabelled.samples(true, true), relabelled.y);
  bool any_later_change = false;
  for (Index i = 0; i < 600; ++i) {
    const auto row = static_cast<std::size_t>(i);
    if (later.times[row] < when + kDay) {
      EXPECT_EQ(before(i, 0), seen(i, 0));
    } else {
      any_later_change = any_later_change || before(i, 0) != seen(i, 0);
    }
  }
  EXPECT_TRUE(any_later_change);
}

// Of the entities' states: representatives by similarity stay as they are in a replay.
TEST(Model, ReplayEqualsObservingStepByStep) {
  ModelOptions options = small_options();
  options.similarity.reset();
  options.entities.push_back(terminal_options());
  Problem training = make_problem(1500, 1), validation = make_problem(500, 2);
  for (double& t : validation.times) t += 60 * kDay;
  Model model = fit(training, validation, options, true, true);
  Problem later = make_problem(200, 6, Task::kBinary, 99, 120.0);
  const Matrix<float> replayed = model.replay(later.samples(true, true), later.y);
  for (Index i = 0; i < 200; ++i) {
    const auto row = static_cast<std::size_t>(i);
    Samples one;
    one.embedding = {later.x.row(i).data(), 1, 5};
    one.entities = {{"terminal", {later.keys[row]}}};
    one.times = {later.times[row]};
    EXPECT_EQ(model.decide(one, 1)(0, 0), replayed(i, 0));
    model.observe(one, {Task::kBinary, 2, {later.y.values[row]}});
  }
}

TEST(Model, ExplanationsAddWhatWasTakenAway) {
  ModelOptions options = small_options();
  options.entities.push_back(terminal_options());
  Problem training = make_problem(2000, 1), validation = make_problem(500, 2);
  for (double& t : validation.times) t += 60 * kDay;
  const Model model = fit(training, validation, options, true, true);
  Problem later = make_problem(20, 6, Task::kBinary, 99, 130.0);
  const Samples samples = later.samples(true, true);
  const Matrix<float> scores = model.decide(samples);
  const auto explanations = model.explain(samples, 3);
  ASSERT_EQ(explanations.size(), 20u);
  for (std::size_t i = 0; i < 20; ++i) {
    const auto& explanation = explanations[i];
    EXPECT_EQ(explanation.score, scores(static_cast<Index>(i), 0));
    ASSERT_EQ(explanation.similar.size(), 3u);
    EXPECT_GE(std::abs(explanation.similar[0].contribution),
              std::abs(explanation.similar[2].contribution));
    for (const auto& found : explanation.similar) {
      EXPECT_NEAR(std::accumulate(found.label_mix.begin(), found.label_mix.end(), 0.0), 1.0, 1e-9);
      EXPECT_LE(std::abs(found.similarity), 1.0001f);
      for (const auto row : found.cases) EXPECT_LT(row, 2000);
    }
    // The entity's contribution is the change when the row has no entity at all.
    Samples nobody;
    nobody.embedding = {later.x.row(static_cast<Index>(i)).data(), 1, 5};
    nobody.entities = {{"terminal", {relation::kNoEntity}}};
    nobody.times = {later.times[i]};
    ASSERT_EQ(explanation.entities.size(), 1u);
    EXPECT_NEAR(explanation.entities[0].contribution,
                explanation.score - model.decide(nobody, 1)(0, 0), 1e-5);
  }
}

TEST(Model, ContributionsOfLinearLayersSumToTheScore) {
  for (const Task task : {Task::kBinary, Task::kMulticlass, Task::kRegression}) {
    for (const char* gnn : {"sage_mean", "gcn"}) {
      for (const bool residual : {true, false}) {
        SCOPED_TRACE(std::string(gnn) + (residual ? " residual " : " ") +
                     std::to_string(static_cast<int>(task)));
        ModelOptions options = small_options();
        options.gnn = gnn;
        options.activation = "none";
        options.residual = residual;
        options.controls = false;
        options.gate = false;
        options.entities.push_back(terminal_options());
        const Problem training = make_problem(900, 51, task);
        const Problem validation = make_problem(300, 52, task);
        const Model model = fit(training, validation, options, true);
        const auto explanations = model.explain(validation.samples(true, false), 3);
        for (const auto& explanation : explanations) {
          ASSERT_EQ(explanation.method, "additive");
          double sum = explanation.own + explanation.rest + explanation.other_similar;
          for (const auto& found : explanation.similar) sum += found.contribution;
          for (const auto& found : explanation.entities) sum += found.contribution;
          EXPECT_NEAR(sum, explanation.score, 1e-4 * (1.0 + std::abs(explanation.score)));
          // What no part accounts for is the same for every row (of one class).
          if (task == Task::kMulticlass) continue;
          EXPECT_NEAR(explanation.rest, explanations.front().rest,
                      1e-3 * (1.0 + std::abs(explanation.rest)));
        }
      }
    }
  }
}

TEST(Model, GradientTimesInputSumsToTheScoreWithItsRest) {
  const Problem training = make_problem(900, 53), validation = make_problem(100, 54);
  for (const Kind& kind : kKinds) {
    SCOPED_TRACE(std::string(kind.gnn) + std::to_string(kind.n_layers));
    ModelOptions options = of_kind(kind);
    options.gate = false;
    const Model model = fit(training, validation, options, true);
    for (const auto& explanation :
         model.explain(validation.samples(true, false), 2, 1, "gradient")) {
      double sum = explanation.own + explanation.rest + explanation.other_similar;
      for (const auto& found : explanation.similar) sum += found.contribution;
      for (const auto& found : explanation.entities) sum += found.contribution;
      EXPECT_NEAR(sum, explanation.score, 1e-4);
      EXPECT_EQ(explanation.method, "gradient");
    }
  }
}

TEST(Model, WithoutCasesIsTheOutputWhenTheyAreRemoved) {
  const Problem training = make_problem(900, 55), validation = make_problem(60, 56);
  for (const char* gnn : {"sage_mean", "attention"}) {
    ModelOptions options = small_options();
    options.gnn = gnn;
    options.gate = false;
    const Model model = fit(training, validation, options);
    const Samples samples = validation.samples(false, false);
    const Matrix<float> scores = model.decide(samples);
    const auto explanations = model.explain(samples, 8, 1, "occlusion");
    std::vector<std::vector<std::int64_t>> one(60), all(60), none(60);
    for (std::size_t i = 0; i < 60; ++i) {
      one[i] = {explanations[i].similar[0].representative};
      for (const auto& found : explanations[i].similar) all[i].push_back(found.representative);
    }
    EXPECT_EQ(model.decide_without(samples, none), scores);
    const Matrix<float> without_one = model.decide_without(samples, one, 2);
    const Matrix<float> without_all = model.decide_without(samples, all, 2);
    for (std::size_t i = 0; i < 60; ++i) {
      const auto row = static_cast<Index>(i);
      EXPECT_NEAR(explanations[i].score - without_one(row, 0),
                  explanations[i].similar[0].contribution, 1e-6);
      EXPECT_EQ(without_all(row, 0), explanations[i].without_relations);
    }
    EXPECT_THROW(model.decide_without(samples, {{}}), InvalidArgument);
  }
}

TEST(Model, SurvivesTheFileToTheBit) {
  for (const Task task : {Task::kBinary, Task::kMulticlass, Task::kRegression}) {
    ModelOptions options = small_options();
    options.entities.push_back(terminal_options());
    options.metadata = "{\"mine\": 1}";
    const Model model = fit(make_problem(1500, 1, task), make_problem(500, 2, task), options, true,
                            task != Task::kMulticlass);
    const Model loaded = Model::from_bytes(model.to_bytes());
    Problem later = make_problem(100, 6, task, 99, 130.0);
    const Samples samples = later.samples(true, task != Task::kMulticlass);
    EXPECT_EQ(model.decide(samples), loaded.decide(samples));
    EXPECT_EQ(model.transform(samples), loaded.transform(samples));
    EXPECT_EQ(model.control(samples, "mlp"), loaded.control(samples, "mlp"));
    EXPECT_EQ(model.report(), loaded.report());
    EXPECT_EQ(loaded.options().metadata, "{\"mine\": 1}");
    EXPECT_EQ(loaded.to_bytes(), model.to_bytes());
  }
}

TEST(Model, RefusesDamagedAndNewerFiles) {
  const Model model = fit(make_problem(600, 1), make_problem(200, 2), small_options());
  const std::string bytes = model.to_bytes();
  for (const std::size_t keep :
       {std::size_t{0}, std::size_t{7}, std::size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
    EXPECT_THROW(Model::from_bytes(bytes.substr(0, keep)), FileError);
  }
  Rng rng(1);
  for (int trial = 0; trial < 200; ++trial) {
    std::string altered = bytes;
    altered[static_cast<std::size_t>(rng.below(static_cast<Index>(bytes.size())))] ^=
        static_cast<char>(1 + rng.below(255));
    EXPECT_THROW(Model::from_bytes(altered), FileError);
  }
  io::TensorFile file = io::from_bytes(bytes, "test");
  file.metadata.erase("checksum");
  file.metadata["format_version"] = "3";
  try {
    Model::from_bytes(io::to_bytes(file));
    FAIL() << "a newer format was accepted";
  } catch (const FileError& error) {
    EXPECT_NE(std::string(error.what()).find("newer"), std::string::npos);
  }
  // A wrong weight under a right checksum is caught by the verification cases.
  file.metadata["format_version"] = "2";
  testing::edit(file.floats.at("layer.output.weight"), [](auto& weight) { weight.setRandom(); });
  EXPECT_THROW(Model::from_bytes(io::to_bytes(file)), FileError);
  EXPECT_THROW(Model::load("/nowhere/model.ecseq"), FileError);
}

TEST(Model, RefusesBadInputBeforeAnyWork) {
  const Problem training = make_problem(300, 1), validation = make_problem(100, 2);
  const auto refuses = [&](const char* expected, const auto& change) {
    Problem t = training, v = validation;
    ModelOptions options = small_options();
    change(t, v, options);
    try {
      fit(t, v, options);
      ADD_FAILURE() << expected;
    } catch (const InvalidArgument& error) {
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    }
  };
  refuses("NaN at row 3, column 2",
          [](Problem& t, Problem&, ModelOptions&) { t.x(3, 2) = std::nanf(""); });
  refuses("y: expected 300 labels",
          [](Problem& t, Problem&, ModelOptions&) { t.y.values.pop_back(); });
  refuses("only one class", [](Problem& t, Problem&, ModelOptions&) {
    std::fill(t.y.values.begin(), t.y.values.end(), 1.0f);
  });
  refuses("X has 4 features",
          [](Problem&, Problem& v, ModelOptions&) { v.x = v.x.leftCols(4).eval(); });
  refuses("'kmeans', 'kron', 'medoids'",
          [](Problem&, Problem&, ModelOptions& o) { o.similarity->compressor = "magic"; });
  refuses("'knn', 'epsilon'",
          [](Problem&, Problem&, ModelOptions& o) { o.similarity->attach = "magic"; });
  refuses("'sage_mean'", [](Problem&, Problem&, ModelOptions& o) { o.gnn = "magic"; });
  refuses("'pretrain'", [](Problem&, Problem&, ModelOptions& o) { o.mode = "magic"; });
  refuses("distinct rows",
          [](Problem&, Problem&, ModelOptions& o) { o.similarity->n_representatives = 301; });
  refuses("at least one relation",
          [](Problem&, Problem&, ModelOptions& o) { o.similarity.reset(); });
  refuses("'terminal' is needed",
          [](Problem&, Problem&, ModelOptions& o) { o.entities.push_back(terminal_options()); });
  const Model model = fit(training, validation, small_options());
  Samples empty_width;
  const Matrix<float> wide = Matrix<float>::Zero(2, 6);
  empty_width.embedding = wide;
  EXPECT_THROW(model.decide(empty_width), InvalidArgument);
}

TEST(Model, StopsWhenTheCallbackSaysSo) {
  const Problem training = make_problem(300, 1), validation = make_problem(100, 2);
  int calls = 0;
  EXPECT_THROW(
      Model::fit(training.samples(false, false), training.y, validation.samples(false, false),
                 validation.y, small_options(), {}, [&](const Progress&) { return ++calls < 5; }),
      Interrupted);
}

TEST(Model, StopsAsAWholeWhereALayerIsHalfTrained) {
  const Problem training = make_problem(300, 1), validation = make_problem(100, 2);
  for (const std::string stage : {"gnn", "mlp (control)"}) {
    bool reached = false;
    const auto stop_after_an_epoch = [&](const Progress& p) {
      reached = reached || (p.stage == stage && p.done > 300);
      return !reached;
    };
    EXPECT_THROW(
        Model::fit(training.samples(false, false), training.y, validation.samples(false, false),
                   validation.y, small_options(), {}, stop_after_an_epoch),
        Interrupted);
    EXPECT_TRUE(reached) << stage;
  }
}

}  // namespace
}  // namespace ecseq::pipeline
