#include "ecseq/serving/scorer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "ecseq/core/error.hpp"
#include "ecseq/nn/activation.hpp"
#include "ecseq/pipeline/metrics.hpp"
#include "expect_refused.hpp"
#include "relational_problem.hpp"

namespace ecseq::serving {
namespace {

using ecseq::testing::expect_refused;
using pipeline::Model;
using pipeline::ModelOptions;
using pipeline::Problem;
using pipeline::Samples;

/// The head alone decides, so that nothing of it is hidden by the gate.
ModelOptions quick_options() {
  ModelOptions options = pipeline::small_options();
  options.similarity->n_representatives = 20;
  options.training.max_epochs = 3;
  options.gate = false;
  options.controls = false;
  return options;
}

/// One row of samples as a request. Keeps the spans that it refers to.
class RowRequest {
 public:
  RowRequest(const Samples& samples, Index row, const std::vector<std::string>& names) {
    for (const auto& name : names) {
      for (const auto& column : samples.entities) {
        if (column.by == name) keys_.push_back(column.row(row));
      }
    }
    if (samples.sequences) {
      const auto& all = *samples.sequences;
      request_.events = {all.events(row), all.length(row), all.features()};
      if (all.times != nullptr) {
        request_.times = {all.times + all.starts[row], static_cast<std::size_t>(all.length(row))};
      }
    } else {
      request_.events = {samples.embedding.row(row), 1, samples.embedding.cols};
    }
    if (!samples.times.empty()) request_.time = samples.times[static_cast<std::size_t>(row)];
    request_.entities = keys_;
  }
  operator const Request&() const { return request_; }  // NOLINT: it is one

 private:
  std::vector<std::span<const relation::EntityKey>> keys_;
  Request request_;
};

/// Logits of every row are those of the model, up to rounding, and values its probabilities.
void expect_scores_of(const Model& model, const Samples& samples, const char* what) {
  const Scorer scorer(model);
  const Matrix<float> expected = model.decide(samples), base = model.base(samples);
  const Matrix<float> batch = scorer.score_batch(samples, 2);
  Workspace workspace;
  float spread = 0.0F;
  for (Index i = 0; i < samples.size(); ++i) {
    const RowRequest request(samples, i, scorer.entity_names());
    const Score score = scorer.score(request, workspace);
    for (Index c = 0; c < expected.cols(); ++c) {
      const auto at = static_cast<std::size_t>(c);
      ASSERT_NEAR(score.logits[at], expected(i, c), 1e-5 * (1.0 + std::abs(expected(i, c))))
          << what << ", row " << i;
      ASSERT_NEAR(score.base[at], base(i, c), 1e-5 * (1.0 + std::abs(base(i, c)))) << what;
      ASSERT_EQ(score.values[at], batch(i, c)) << what;
      spread = std::max(spread, std::abs(expected(i, c) - expected(0, c)));
    }
  }
  EXPECT_GT(spread, 1e-3F) << what << ": scores that are all alike prove nothing";
}

TEST(Scorer, EveryGraphLayerFoldsToItsModelsScores) {
  const Problem training = pipeline::make_problem(500, 1),
                validation = pipeline::make_problem(120, 2);
  for (const char* gnn : {"sage_mean", "sage_max", "gcn", "gat", "attention"}) {
    for (const Index layers : {1, 2}) {
      for (const char* activation : {"none", "relu", "gelu"}) {
        ModelOptions options = quick_options();
        options.gnn = gnn;
        options.n_layers = layers;
        options.similarity->edges_among = layers == 2;
        options.activation = activation;
        if (std::string(activation) == "gelu") options.head = {8};
        const Model model = pipeline::fit(training, validation, options);
        const std::string what = std::string(gnn) + std::to_string(layers) + activation;
        expect_scores_of(model, validation.samples(false, false), what.c_str());
      }
    }
  }
}

TEST(Scorer, EveryWayToAttachFoldsToItsModelsScores) {
  const Problem training = pipeline::make_problem(500, 1),
                validation = pipeline::make_problem(120, 2);
  for (const char* attach : {"knn", "epsilon", "correlation"}) {
    for (const char* isolated : {"nearest", "alone"}) {
      for (const char* gnn : {"sage_mean", "sage_max", "gcn", "gat", "attention"}) {
        ModelOptions options = quick_options();
        options.gnn = gnn;
        options.similarity->attach = attach;
        options.similarity->isolated = isolated;
        options.similarity->epsilon = 0.8;
        options.similarity->min_correlation = 0.8;
        const Model model = pipeline::fit(training, validation, options);
        const std::string what = std::string(attach) + isolated + gnn;
        expect_scores_of(model, validation.samples(false, false), what.c_str());
      }
    }
  }
}

TEST(Scorer, EveryTaskAndChoiceOfInputsFolds) {
  for (const Task task : {Task::kBinary, Task::kMulticlass, Task::kRegression}) {
    const Problem training = pipeline::make_problem(500, 1, task);
    const Problem validation = pipeline::make_problem(120, 2, task);
    for (const bool embedding : {true, false}) {
      for (const bool standardize : {true, false}) {
        ModelOptions options = quick_options();
        options.embedding = embedding;
        options.residual = true;
        options.standardize = standardize;
        options.gate = task == Task::kRegression;
        const Model model = pipeline::fit(training, validation, options, true, false);
        expect_scores_of(model, validation.samples(true, false), "task");
      }
    }
  }
}

TEST(Scorer, EntitiesOfEveryKindAreHeard) {
  const Problem training = pipeline::make_problem(600, 1),
                validation = pipeline::make_problem(200, 2);
  for (const char* aggregator : {"summary", "gru", "gnn"}) {
    for (const char* gnn : {"sage_mean", "gat"}) {
      ModelOptions options = quick_options();
      options.gnn = gnn;
      options.entities = {pipeline::terminal_options()};
      options.entities[0].aggregator = aggregator;
      const Model model = pipeline::fit(training, validation, options, true, true);
      const Problem later = pipeline::make_problem(100, 3, Task::kBinary, 99, 61.0);
      expect_scores_of(model, later.samples(true, true), aggregator);
    }
  }
}

TEST(Scorer, EntitiesAloneWithoutSimilarityAreHeard) {
  const Problem training = pipeline::make_problem(600, 1),
                validation = pipeline::make_problem(200, 2);
  ModelOptions options = quick_options();
  options.similarity.reset();
  options.entities = {pipeline::terminal_options()};
  const Model model = pipeline::fit(training, validation, options, true, false);
  expect_scores_of(model, validation.samples(true, false), "entities alone");
}

TEST(Scorer, SetsOfEntitiesAreHeard) {
  const auto with_sets = [](const Problem& problem) {
    Samples samples = problem.samples(true, true);
    auto& column = samples.entities.front();
    const auto single = column.keys;
    column.keys.clear();
    column.offsets = {0};
    for (std::size_t i = 0; i < single.size(); ++i) {  // 0, 1, 2 or 3 of them, some twice
      for (std::size_t k = 0; k < i % 4; ++k) column.keys.push_back(single[(i * (k + 1)) % 50]);
      column.offsets.push_back(static_cast<Index>(column.keys.size()));
    }
    return samples;
  };
  const Problem training = pipeline::make_problem(600, 1),
                validation = pipeline::make_problem(200, 2);
  ModelOptions options = quick_options();
  options.entities = {pipeline::terminal_options()};
  options.entities[0].set = true;
  const Model model =
      Model::fit(with_sets(training), training.y, with_sets(validation), validation.y, options);
  const Problem later = pipeline::make_problem(100, 3, Task::kBinary, 99, 61.0);
  expect_scores_of(model, with_sets(later), "sets");
}

TEST(Scorer, WhereTheGateKeepsTheBaseTheBaseScores) {
  int kept = 0;
  for (std::uint64_t seed = 1; seed < 8; ++seed) {
    Problem training = pipeline::make_problem(400, seed);
    Problem validation = pipeline::make_problem(200, seed + 100);
    Rng rng(seed);
    for (auto* problem : {&training, &validation}) {  // linear: nothing to be gained
      for (std::size_t i = 0; i < problem->y.values.size(); ++i) {
        const float x = problem->x(static_cast<Index>(i), 0);
        problem->y.values[i] = rng.uniform() < 1.0 / (1.0 + std::exp(-2.0 * x)) ? 1.0F : 0.0F;
      }
    }
    ModelOptions options = quick_options();
    options.gate = true;
    const Model model = pipeline::fit(training, validation, options);
    if (model.gate().stacked) continue;
    ++kept;
    expect_scores_of(model, validation.samples(false, false), "base");
  }
  EXPECT_GT(kept, 0) << "no gate kept the base: nothing was tested";
}

TEST(Scorer, CalibratesAsTheEstimatorDid) {
  const Problem training = pipeline::make_problem(400, 1),
                validation = pipeline::make_problem(120, 2);
  ModelOptions options = quick_options();
  Model model = pipeline::fit(training, validation, options);
  const Samples samples = validation.samples(false, false);
  const Matrix<float> logits = model.decide(samples);
  const auto value = [&](const char* curves, Index row) {
    model.set_metadata(std::string(R"({"calibration": {"method": "platt", "curves": [)") + curves +
                       "]}}");
    return Scorer(model).score(RowRequest(samples, row, {}));
  };
  for (const Index row : {0, 1, 2, 3}) {
    const double logit = logits(row, 0);
    EXPECT_NEAR(value(R"({"slope": 2.0, "intercept": -1.0})", row),
                1.0 / (1.0 + std::exp(1.0 - 2.0 * logit)), 1e-5);
    const double expected = logit <= -1.0 ? 0.1 : logit >= 1.0 ? 0.7 : 0.4 + 0.3 * logit;
    EXPECT_NEAR(value(R"({"logits": [-1.0, 1.0], "shares": [0.1, 0.7]})", row), expected, 1e-5);
  }
  for (const char* bad :
       {R"({"slope": -2.0, "intercept": 0.0})", R"({"logits": [1.0, 1.0], "shares": [0.1, 0.7]})",
        R"({"logits": [], "shares": []})", "3", ""}) {
    EXPECT_THROW(value(bad, 0), FileError) << bad;
  }
}

TEST(Scorer, RefusesWhatDoesNotFit) {
  const Problem training = pipeline::make_problem(400, 1),
                validation = pipeline::make_problem(120, 2);
  ModelOptions options = quick_options();
  options.entities = {pipeline::terminal_options()};
  const Scorer scorer(pipeline::fit(training, validation, options, true, true));
  const std::vector<float> good(5, 0.5F);
  const relation::EntityKey keys[] = {1, 2};
  const std::span<const relation::EntityKey> one[] = {{keys, 1}}, two[] = {{keys, 2}};
  const auto score = [&](std::span<const float> x, double time, EntityKeys entities) {
    return scorer.score({{x.data(), 1, static_cast<Index>(x.size())}, {}, time, entities});
  };
  EXPECT_NO_THROW(score(good, 0.0, one));
  expect_refused([&] { score({good.data(), 4}, 0.0, one); }, "events: expected 5 columns, got 4");
  expect_refused([&] { score(good, 0.0, {}); },
                 "entities: expected the keys of 1 relations, got 0");
  expect_refused(
      [&] { score(good, 0.0, two); },
      "entities['terminal']: expected one key, the relation is by one entity each, got 2");
  expect_refused([&] { score(good, NAN, one); },
                 "time: expected a finite number of seconds, got nan");
  std::vector<float> bad = good;
  bad[3] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(score(bad, 0.0, one), InvalidArgument);
  bad[3] = NAN;
  EXPECT_THROW(score(bad, 0.0, one), InvalidArgument);
  expect_refused([&] { scorer.start(); },
                 "state: the model has no encoder; score the embedding of each moment");
}

TEST(Scorer, ExplainsAsItsModel) {
  const Problem training = pipeline::make_problem(500, 1),
                validation = pipeline::make_problem(120, 2);
  ModelOptions options = quick_options();
  options.entities = {pipeline::terminal_options()};
  const Model model = pipeline::fit(training, validation, options, true, true);
  const Scorer scorer(model);
  const Problem later = pipeline::make_problem(20, 3, Task::kBinary, 99, 61.0);
  const Samples samples = later.samples(true, true);
  const auto expected = model.explain(samples, 3);
  for (Index i = 0; i < samples.size(); ++i) {
    const auto& other = expected[static_cast<std::size_t>(i)];
    const auto found = scorer.explain(RowRequest(samples, i, scorer.entity_names()), 3);
    EXPECT_EQ(found.score, other.score);
    ASSERT_EQ(found.similar.size(), other.similar.size());
    EXPECT_EQ(found.similar[0].contribution, other.similar[0].contribution);
    ASSERT_EQ(found.entities.size(), 1U);
    EXPECT_EQ(found.entities[0].facts, other.entities[0].facts);
    EXPECT_EQ(found.entities[0].known, other.entities[0].known);
  }
}

}  // namespace
}  // namespace ecseq::serving
