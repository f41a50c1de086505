#include "../../src/pipeline/entity_inputs.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "ecseq/core/error.hpp"

namespace ecseq::pipeline {
namespace {

constexpr double kDay = 86400;

ModelState state_with(double label_delay, bool set = false) {
  ModelState state;
  relation::EntityOptions options;
  options.by = "shop";
  options.label_delay = label_delay;
  options.windows = {std::numeric_limits<double>::infinity()};
  options.set = set;
  state.options.entities = {options};
  return state;
}

/// Rows one day apart.
Samples days(int n) {
  static const std::vector<float> values(1000, 0.0f);
  Samples samples;
  samples.embedding = {values.data(), n, 1};
  for (int i = 0; i < n; ++i) samples.times.push_back(i * kDay);
  return samples;
}

TEST(InformedWeights, LeaveOutRowsBeforeLabelsAreKnown) {
  const ModelState state = state_with(3 * kDay);
  const Samples samples = days(10);
  // The first six days are before two delays have passed; the rest keep a mean of 1 over all.
  std::vector<float> want(10, 0.0f);
  std::fill(want.begin() + 6, want.end(), 2.5f);
  EXPECT_EQ(informed_weights(state, samples, {}), want);
  std::vector<float> given(10, 1.0f);
  given[8] = 3.0f;
  const auto weights = informed_weights(state, samples, given);
  EXPECT_FLOAT_EQ(weights[8], 3 * weights[7]);
  EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0), 10.0, 1e-5);
}

TEST(InformedWeights, AreAsGivenWhereAllRowsCountAlike) {
  const std::vector<float> none;
  EXPECT_EQ(informed_weights(state_with(0), days(10), none), none);
  EXPECT_EQ(informed_weights(state_with(20 * kDay), days(10), none), none);
  Samples untimed = days(10);
  untimed.times.clear();
  EXPECT_EQ(informed_weights(state_with(3 * kDay), untimed, none), none);
}

TEST(EntityColumns, AreRefusedWhereTheyDoNotFit) {
  Samples samples = days(3);
  const auto one_each = state_with(0).options.entities[0];
  const auto sets = state_with(0, true).options.entities[0];
  EXPECT_THROW(entity_column(samples, one_each), InvalidArgument);  // none given
  samples.entities = {{"shop", {1, 2, 3}, {}}};
  EXPECT_NO_THROW(entity_column(samples, one_each));
  EXPECT_NO_THROW(entity_column(samples, sets));  // sets of one
  samples.entities = {{"shop", {1, 2, 3, 4}, {0, 2, 2, 4}}};
  EXPECT_NO_THROW(entity_column(samples, sets));
  EXPECT_THROW(entity_column(samples, one_each), InvalidArgument);
  for (const std::vector<Index>& offsets :
       {std::vector<Index>{0, 2, 4}, {0, 3, 2, 4}, {1, 2, 2, 4}, {0, 2, 2, 5}, {0, 2, 2, 3}}) {
    samples.entities[0].offsets = offsets;
    EXPECT_THROW(entity_column(samples, sets), InvalidArgument);
  }
}

TEST(EntityInputs, OfSetsAreCausalAcrossTrainingAndValidation) {
  for (const bool timed : {true, false}) {
    Samples training = days(6), validation = days(4);
    for (double& time : validation.times) time += 6 * kDay;
    training.entities = {{"shop", {1, 2, 1, 3, 2, 1, 2}, {0, 2, 3, 4, 5, 6, 7}}};
    validation.entities = {{"shop", {1, 2, 2, 7}, {0, 2, 3, 4, 4}}};
    if (!timed) {
      training.times.clear();
      validation.times.clear();
    }
    const Matrix<float> base = Matrix<float>::Zero(6, 1), base_validation = base.topRows(4);
    Matrix<float> labels(6, 1), later(4, 1);
    labels << 1, 0, 1, 0, 1, 1;
    later << 1, 0, 1, 0;
    const auto build = [&](const Matrix<float>& of_validation) {
      ModelState state = state_with(timed ? kDay : 0, true);
      const EntityInputs inputs = build_entities(
          state, {training, labels, base}, {validation, of_validation, base_validation}, {0.5}, 1);
      EXPECT_EQ(state.entities.size(), 1u);
      EXPECT_EQ(state.entities[0].size(), 4);
      EXPECT_EQ(inputs.training.facts[0].cols(), entity_width(state.entities[0]));
      EXPECT_EQ(static_cast<Index>(entity_names(state.entities[0]).size()),
                entity_width(state.entities[0]));
      return inputs;
    };
    const EntityInputs one = build(later);
    const Matrix<float> flipped = 1.0f - later.array();
    const EntityInputs other = build(flipped);
    EXPECT_EQ(one.training.facts[0], other.training.facts[0]);
    // Untimed, validation rows see the training rows only; timed, earlier ones too.
    EXPECT_EQ(one.validation.facts[0].row(0), other.validation.facts[0].row(0));
    EXPECT_EQ(one.validation.facts[0] == other.validation.facts[0], !timed);
    EXPECT_NE(one.training.facts[0].row(2), one.training.facts[0].row(3));
  }
}

}  // namespace
}  // namespace ecseq::pipeline
