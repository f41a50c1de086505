#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "ecseq/core/rng.hpp"
#include "ecseq/pipeline/model.hpp"
#include "ecseq/relation/entity_key.hpp"

// A problem that only relations solve, and small models of it.

namespace ecseq::pipeline {

inline constexpr double kDay = 86400.0;

/// Rows whose label depends on a product of columns, on nothing else the columns show, and on
/// their entity.
struct Problem {
  Matrix<float> x;
  Targets y;
  std::vector<relation::EntityKey> keys;
  std::vector<double> times;

  Samples samples(bool entities, bool timed) const {
    Samples out;
    out.embedding = x;
    if (entities) out.entities.push_back({"terminal", keys, {}});
    if (timed) out.times = times;
    return out;
  }
};

inline Problem make_problem(Index n, std::uint64_t seed, Task task = Task::kBinary,
                            std::uint64_t entity_seed = 99, double first_day = 0.0) {
  Rng rng(seed), entity_rng(entity_seed);
  std::vector<double> rate(40);
  for (double& r : rate) r = entity_rng.uniform() < 0.3 ? 0.9 : 0.05;
  Problem problem;
  problem.x.resize(n, 5);
  problem.y.task = task;
  problem.y.n_classes = task == Task::kBinary ? 2 : task == Task::kMulticlass ? 3 : 0;
  for (Index i = 0; i < n; ++i) {
    for (Index k = 0; k < 5; ++k) problem.x(i, k) = static_cast<float>(rng.normal());
    const Index entity = rng.below(40);
    problem.keys.push_back(relation::entity_key(static_cast<std::int64_t>(entity)));
    problem.times.push_back((first_day + 60.0 * static_cast<double>(i) / double(n)) * kDay);
    const double signal = problem.x(i, 0) * problem.x(i, 1);
    const bool bad = rng.uniform() < rate[static_cast<std::size_t>(entity)];
    switch (task) {
      case Task::kBinary:
        problem.y.values.push_back(signal > 0.8 || bad ? 1.0f : 0.0f);
        break;
      case Task::kMulticlass:
        problem.y.values.push_back(signal > 0.3 ? 2.0f : signal < -0.3 ? 0.0f : 1.0f);
        break;
      case Task::kRegression:
        problem.y.values.push_back(static_cast<float>(100.0 + 10.0 * signal + (bad ? 20.0 : 0.0)));
        break;
    }
  }
  return problem;
}

inline ModelOptions small_options() {
  ModelOptions options;
  options.similarity->n_representatives = 40;
  options.training.batch_size = 0;
  options.training.max_epochs = 15;
  options.training.seed = 5;
  options.training.num_threads = 2;
  return options;
}

inline relation::EntityOptions terminal_options() {
  relation::EntityOptions entity;
  entity.by = "terminal";
  entity.windows = {7 * kDay, std::numeric_limits<double>::infinity()};
  entity.label_delay = kDay;
  return entity;
}

inline Model fit(const Problem& training, const Problem& validation, const ModelOptions& options,
                 bool entities = false, bool timed = false) {
  return Model::fit(training.samples(entities, timed), training.y,
                    validation.samples(entities, timed), validation.y, options);
}

}  // namespace ecseq::pipeline
