#include "entity_inputs.hpp"

#include <algorithm>
#include <utility>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/relation/entity_set.hpp"

namespace ecseq::pipeline {
namespace {

constexpr Index kChunk = 256;

/// Where each row's keys begin; one each are sets of one.
std::vector<Index> offsets_of(const EntityColumn& column) {
  std::vector<Index> offsets = column.offsets;
  if (offsets.empty()) {
    for (Index i = 0; i <= column.size(); ++i) offsets.push_back(i);
  }
  return offsets;
}

relation::EntitySets sets_of(const EntityColumn& column) {
  return {column.keys, offsets_of(column)};
}

/// A regression's base outputs in the units of its labels.
Matrix<float> in_label_units(const ModelState& state, const Matrix<float>& base) {
  if (state.task != Task::kRegression) return base;
  const auto mean = static_cast<float>(state.target_mean);
  return (base.array() - mean) / static_cast<float>(state.target_std);
}

bool is_learned(const relation::EntityOptions& options) { return options.aggregator != "summary"; }

/// Adds what a relation says of the rows as its memory is.
void add_features(const relation::EntityMemory& memory, const EntityColumn& column,
                  const std::vector<double>& times, int num_threads, EntityBlocks& out) {
  if (memory.options().set) {
    out.facts.push_back(relation::set_features(memory, sets_of(column), times, num_threads));
    return;
  }
  Matrix<float> features(column.size(), memory.n_features());
  parallel_chunks(column.size(), kChunk, num_threads, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const auto row = static_cast<std::size_t>(i);
      memory.features(column.keys[row], times[row], features.row(i).data());
    }
  });
  out.facts.push_back(std::move(features));
  if (!is_learned(memory.options())) return;
  RecentRows recent;
  std::vector<float> rows;
  for (std::size_t i = 0; i < column.keys.size(); ++i) {
    recent.offsets.push_back(recent.offsets.back() + memory.recent(column.keys[i], times[i], rows));
  }
  recent.rows = Eigen::Map<const Matrix<float>>(rows.data(), recent.offsets.back(),
                                                memory.n_recent_columns());
  out.recent.push_back(std::move(recent));
}

/// What a relation says of each row at its moment (untimed: of all rows but itself); then all are
/// observed.
void observe(relation::EntityMemory& memory, const EntityColumn& column,
             const std::vector<double>& times, const Matrix<float>& channels,
             const Matrix<float>& base, int num_threads, EntityBlocks& out) {
  const bool timed = memory.options().timed;
  if (memory.options().set) {
    const relation::EntitySets sets = sets_of(column);
    out.facts.push_back(
        timed ? relation::replay_sets(memory, sets, times, channels, base, num_threads)
              : relation::leave_one_out_sets(memory, sets, channels, num_threads));
  } else if (is_learned(memory.options())) {
    relation::EntityMemory::Extras extras;
    extras.with_recent = true;
    out.facts.push_back(memory.replay(column.keys, times, channels, base, num_threads, &extras));
    out.recent.push_back({std::move(extras.recent), std::move(extras.offsets)});
  } else {
    out.facts.push_back(timed ? memory.replay(column.keys, times, channels, base, num_threads)
                              : memory.leave_one_out(column.keys, channels, num_threads));
  }
}

EntityColumn joined(const EntityColumn& first, const EntityColumn& second, bool set) {
  EntityColumn out = first;
  out.keys.insert(out.keys.end(), second.keys.begin(), second.keys.end());
  if (!set) return out;
  out.offsets = offsets_of(first);
  for (Index i = 0; i < second.size(); ++i) {
    out.offsets.push_back(out.offsets.back() + static_cast<Index>(second.row(i).size()));
  }
  return out;
}

Matrix<float> joined(const Matrix<float>& first, const Matrix<float>& second) {
  Matrix<float> out(first.rows() + second.rows(), first.cols());
  out << first, second;
  return out;
}

void append(EntityBlocks& all, EntityBlocks part) {
  for (auto& facts : part.facts) all.facts.push_back(std::move(facts));
  for (auto& recent : part.recent) all.recent.push_back(std::move(recent));
}

}  // namespace

EntityBlocks slice(const EntityBlocks& all, Index begin, Index end) {
  EntityBlocks out;
  for (const auto& facts : all.facts) out.facts.push_back(facts.middleRows(begin, end - begin));
  for (const auto& recent : all.recent) out.recent.push_back(slice(recent, begin, end));
  return out;
}

const EntityColumn& entity_column(const Samples& samples, const relation::EntityOptions& options) {
  std::string given;
  for (const auto& column : samples.entities) {
    if (column.by != options.by) {
      given += (given.empty() ? "'" : ", '") + column.by + "'";
      continue;
    }
    const std::string name = "entities['" + options.by + "']";
    if (!options.set && !column.offsets.empty()) {
      throw InvalidArgument(name + ": expected one id per row, got sets of ids; the relation is " +
                            "by one entity per row");
    }
    if (column.size() != samples.size()) {
      throw InvalidArgument(name + ": expected " + std::to_string(samples.size()) +
                            (options.set ? " sets of ids" : " ids") + ", one per row, got " +
                            std::to_string(column.size()));
    }
    bool good =
        column.offsets.empty() || (column.offsets.front() == 0 &&
                                   column.offsets.back() == static_cast<Index>(column.keys.size()));
    for (std::size_t i = 1; i < column.offsets.size(); ++i) {
      good = good && column.offsets[i - 1] <= column.offsets[i];
    }
    if (!good) {
      throw InvalidArgument(name + ": offsets of sets must rise from 0 to the number of ids");
    }
    return column;
  }
  throw InvalidArgument("entities: '" + options.by + "' is needed by the model, got " +
                        (given.empty() ? "none" : given));
}

std::vector<double> event_times(const Samples& samples) {
  return samples.times.empty() ? std::vector<double>(static_cast<std::size_t>(samples.size()), 0.0)
                               : samples.times;
}

EntityInputs build_entities(ModelState& state, const EntityRows& training,
                            const EntityRows& validation, const std::vector<double>& prior,
                            int num_threads) {
  EntityInputs out;
  const Index n = training.samples.size(), m = validation.samples.size();
  const Matrix<float> base = in_label_units(state, training.base);
  const Matrix<float> validation_base = in_label_units(state, validation.base);
  for (auto& options : state.options.entities) {
    options.timed = !training.samples.times.empty();
    options.base_outputs = options.timed;
    const EntityColumn& column = entity_column(training.samples, options);
    const EntityColumn& validation_column = entity_column(validation.samples, options);
    relation::EntityMemory memory(options, prior, state.task);
    const std::vector<double> validation_times = event_times(validation.samples);
    if (options.timed) {
      std::vector<double> times = training.samples.times;
      times.insert(times.end(), validation_times.begin(), validation_times.end());
      EntityBlocks both;
      observe(memory, joined(column, validation_column, options.set), times,
              joined(training.channels, validation.channels), joined(base, validation_base),
              num_threads, both);
      append(out.training, slice(both, 0, n));
      append(out.validation, slice(both, n, n + m));
    } else {
      observe(memory, column, event_times(training.samples), training.channels, base, num_threads,
              out.training);
      add_features(memory, validation_column, validation_times, num_threads, out.validation);
      EntityBlocks unused;
      observe(memory, validation_column, validation_times, validation.channels, validation_base,
              num_threads, unused);
    }
    state.entities.push_back(std::move(memory));
  }
  return out;
}

std::vector<float> informed_weights(const ModelState& state, const Samples& training,
                                    std::vector<float> weights) {
  double delay = 0;
  for (const auto& options : state.options.entities) delay = std::max(delay, options.label_delay);
  const std::vector<double>& times = training.times;
  if (times.empty() || delay == 0) return weights;
  const double begin = *std::min_element(times.begin(), times.end()) + 2 * delay;
  if (std::all_of(times.begin(), times.end(), [&](double time) { return time < begin; })) {
    return weights;
  }
  weights.resize(times.size(), 1.0f);
  double sum = 0;
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (times[i] < begin) weights[i] = 0.0f;
    sum += static_cast<double>(weights[i]);
  }
  if (sum == 0) return weights;
  const double scale = static_cast<double>(weights.size()) / sum;
  for (float& weight : weights) weight = static_cast<float>(weight * scale);
  return weights;
}

EntityBlocks entity_features(const ModelState& state, const Samples& samples, int num_threads) {
  const std::vector<double> times = event_times(samples);
  EntityBlocks out;
  for (const auto& memory : state.entities) {
    add_features(memory, entity_column(samples, memory.options()), times, num_threads, out);
  }
  return out;
}

EntityBlocks replay_entities(const ModelState& state, const EntityRows& rows, int num_threads) {
  const std::vector<double> times = event_times(rows.samples);
  const Matrix<float> base = in_label_units(state, rows.base);
  EntityBlocks out;
  for (auto memory : state.entities) {
    const EntityColumn& column = entity_column(rows.samples, memory.options());
    observe(memory, column, times, rows.channels, base, num_threads, out);
  }
  return out;
}

void observe_entities(ModelState& state, const EntityRows& rows, int num_threads) {
  const std::vector<double> times = event_times(rows.samples);
  const Matrix<float> base = in_label_units(state, rows.base);
  auto entities = state.entities;
  EntityBlocks unused;
  for (auto& memory : entities) {
    const EntityColumn& column = entity_column(rows.samples, memory.options());
    observe(memory, column, times, rows.channels, base, num_threads, unused);
  }
  state.entities = std::move(entities);
}

Index entity_width(const relation::EntityMemory& memory) {
  return memory.options().set ? relation::set_feature_count(memory) : memory.n_features();
}

std::vector<std::string> entity_names(const relation::EntityMemory& memory) {
  return memory.options().set ? relation::set_feature_names(memory) : memory.feature_names();
}

RowVector<float> unseen_entity(const relation::EntityMemory& memory, double time) {
  const std::vector<relation::EntityKey> nobody = {relation::kNoEntity};
  EntityBlocks out;
  add_features(memory, {memory.options().by, nobody, {}}, {time}, 1, out);
  return out.facts.front().row(0);
}

bool knows_entity(const relation::EntityMemory& memory, const EntityColumn& column, Index row) {
  return std::ranges::any_of(column.row(row),
                             [&](relation::EntityKey key) { return memory.knows(key); });
}

}  // namespace ecseq::pipeline
