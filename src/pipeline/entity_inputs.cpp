#include "entity_inputs.hpp"

#include <utility>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"

namespace ecseq::pipeline {
namespace {

constexpr Index kChunk = 256;

}  // namespace

const EntityColumn& entity_column(const Samples& samples, const std::string& by) {
  std::string given;
  for (const auto& column : samples.entities) {
    if (column.by == by) return column;
    given += (given.empty() ? "'" : ", '") + column.by + "'";
  }
  throw InvalidArgument("entities: '" + by + "' is needed by the model, got " +
                        (given.empty() ? "none" : given));
}

std::vector<double> event_times(const Samples& samples) {
  return samples.times.empty() ? std::vector<double>(static_cast<std::size_t>(samples.size()), 0.0)
                               : samples.times;
}

EntityInputs build_entities(ModelState& state, const Samples& training, const Samples& validation,
                            const relation::LabelChannels& channels,
                            const Matrix<float>& validation_channels) {
  EntityInputs out;
  const Index n = training.size(), m = validation.size();
  for (auto& options : state.options.entities) {
    options.timed = !training.times.empty();
    const auto& keys = entity_column(training, options.by).keys;
    const auto& validation_keys = entity_column(validation, options.by).keys;
    relation::EntityMemory memory(options, channels.prior, state.task);
    if (options.timed) {
      std::vector<relation::EntityKey> all_keys = keys;
      all_keys.insert(all_keys.end(), validation_keys.begin(), validation_keys.end());
      std::vector<double> all_times = training.times;
      all_times.insert(all_times.end(), validation.times.begin(), validation.times.end());
      Matrix<float> all_channels(n + m, channels.values.cols());
      all_channels << channels.values, validation_channels;
      const Matrix<float> features = memory.replay(all_keys, all_times, all_channels);
      out.training.push_back(features.topRows(n));
      out.validation.push_back(features.bottomRows(m));
    } else {
      out.training.push_back(memory.leave_one_out(keys, channels.values));
      Matrix<float> features(m, memory.n_features());
      for (Index i = 0; i < m; ++i) {
        memory.features(validation_keys[static_cast<std::size_t>(i)], 0.0, features.row(i).data());
      }
      out.validation.push_back(std::move(features));
      for (Index i = 0; i < m; ++i) {
        memory.observe(validation_keys[static_cast<std::size_t>(i)], 0.0,
                       validation_channels.row(i).data());
      }
    }
    state.entities.push_back(std::move(memory));
  }
  return out;
}

std::vector<Matrix<float>> entity_features(const ModelState& state, const Samples& samples,
                                           int num_threads) {
  const std::vector<double> times = event_times(samples);
  std::vector<Matrix<float>> out;
  for (std::size_t e = 0; e < state.entities.size(); ++e) {
    const auto& memory = state.entities[e];
    const auto& keys = entity_column(samples, state.options.entities[e].by).keys;
    Matrix<float> features(samples.size(), memory.n_features());
    parallel_chunks(samples.size(), kChunk, num_threads, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        const auto row = static_cast<std::size_t>(i);
        memory.features(keys[row], times[row], features.row(i).data());
      }
    });
    out.push_back(std::move(features));
  }
  return out;
}

std::vector<Matrix<float>> replay_entities(const ModelState& state, const Samples& samples,
                                           const Matrix<float>& channels) {
  const std::vector<double> times = event_times(samples);
  std::vector<Matrix<float>> out;
  for (std::size_t e = 0; e < state.entities.size(); ++e) {
    auto memory = state.entities[e];
    const auto& keys = entity_column(samples, state.options.entities[e].by).keys;
    out.push_back(memory.replay(keys, times, channels));
  }
  return out;
}

void observe_entities(ModelState& state, const Samples& samples, const Matrix<float>& channels) {
  const std::vector<double> times = event_times(samples);
  auto entities = state.entities;
  for (std::size_t e = 0; e < entities.size(); ++e) {
    const auto& keys = entity_column(samples, state.options.entities[e].by).keys;
    if (state.options.entities[e].timed) {
      entities[e].replay(keys, times, channels);  // in order of time, whatever that of the rows
    } else {
      for (Index i = 0; i < samples.size(); ++i) {
        entities[e].observe(keys[static_cast<std::size_t>(i)], 0.0, channels.row(i).data());
      }
    }
  }
  state.entities = std::move(entities);
}

}  // namespace ecseq::pipeline
