#include "next_event_objective.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/kernels/flush_denormals.hpp"

namespace ecseq::encoders {
namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

NextEventObjective::NextEventObjective(const EncoderState& state, const SequencesView& training,
                                       const SequencesView& validation, int num_threads,
                                       const ProgressCallback& progress, const Progress& where,
                                       nn::Parameters<float>& parameters, Rng& rng)
    : state_(state),
      training_(training),
      validation_(validation),
      num_threads_(num_threads),
      progress_(progress),
      where_(where),
      training_pairs_(training.total_length() - training.size),
      validation_pairs_(validation.total_length() - validation.size) {
  if (training_pairs_ == 0) {
    throw InvalidArgument(
        "training: next-event prediction needs a sequence of at least two events");
  }
  const Index width = state.options.embedding_size();
  const double bound = 1.0 / std::sqrt(static_cast<double>(width));
  const auto add_head = [&](const std::string& name, Index outputs) {
    const int weight = parameters.add_uniform(name + ".weight", width, outputs, bound, rng);
    heads_.push_back({weight, parameters.add(name + ".bias", 1, outputs)});
  };
  if (state.events.dense_inputs() > 0) add_head("next.dense", state.events.dense_inputs());
  for (Index c = 0; c < state.events.n_categorical(); ++c) {
    add_head("next.category_" + std::to_string(c), state.events.vocabulary_size(c));
  }
}

Index NextEventObjective::outputs() const {
  Index widest = state_.events.dense_inputs();
  for (Index c = 0; c < state_.events.n_categorical(); ++c) {
    widest = std::max(widest, state_.events.vocabulary_size(c));
  }
  return widest;
}

autograd::Variable<float> NextEventObjective::loss(const nn::BoundParameters<float>& bound,
                                                   autograd::Variable<float> x,
                                                   std::span<const Index> rows) const {
  const auto weight = static_cast<float>(static_cast<double>(training_.size) /
                                         static_cast<double>(training_pairs_));
  return loss(bound, x, training_, rows, weight);
}

autograd::Variable<float> NextEventObjective::loss(const nn::BoundParameters<float>& bound,
                                                   autograd::Variable<float> x,
                                                   const SequencesView& sequences,
                                                   std::span<const Index> rows,
                                                   float weight) const {
  auto& tape = bound.tape();
  const EventEncoder& events = state_.events;
  const Index pairs = x.rows() - static_cast<Index>(rows.size());
  if (pairs == 0) {
    const auto nothing = tape.constant(1, 1);
    nothing.value().setZero();
    return nothing;
  }
  Index* const before = tape.scratch_of<Index>(pairs);
  Index first = 0, pair = 0;
  for (const Index row : rows) {
    const Index length = sequences.length(row);
    for (Index t = 0; t + 1 < length; ++t) before[pair++] = first + t;
    first += length;
  }
  const auto states = autograd::gather_rows(x, {before, at(pairs)});
  std::optional<autograd::Variable<float>> total;
  const auto outputs = [&](std::size_t head) {
    return autograd::linear(states, bound[heads_[head].weight], bound[heads_[head].bias]);
  };
  const auto add = [&](autograd::Variable<float> part) {
    total = total ? autograd::add(*total, part) : part;
  };
  const Index dense = events.dense_inputs();
  if (dense > 0) {
    float* const targets = tape.scratch(pairs * dense);
    float* const weights = tape.scratch(pairs);
    std::fill_n(weights, pairs, weight);
    float* to = targets;
    for (const Index row : rows) {
      const Index length = sequences.length(row);
      float* const all = tape.scratch(length * dense);
      events.encode_dense(sequences, row, all, dense);
      to = std::copy(all + dense, all + length * dense, to);
    }
    add(autograd::huber(outputs(0), {targets, pairs, dense}, weights));
  }
  for (Index c = 0; c < events.n_categorical(); ++c) {
    Index* const next = tape.scratch_of<Index>(pairs);
    pair = 0;
    for (const Index row : rows) {
      for (Index t = 1; t < sequences.length(row); ++t) {
        next[pair++] = events.category(c, sequences.events(row) + t * sequences.features());
      }
    }
    add(autograd::class_cross_entropy(outputs(at(c) + (dense > 0 ? 1 : 0)), {next, at(pairs)},
                                      weight));
  }
  return *total;
}

nn::ValidationScore NextEventObjective::validate(const nn::Parameters<float>& parameters) const {
  constexpr Index kChunk = 16;
  const Index n_chunks = (validation_.size + kChunk - 1) / kChunk;
  std::vector<double> losses(at(n_chunks));
  constexpr Index kWave = 16;
  for (Index begin = 0; begin < n_chunks; begin += kWave) {
    parallel_for(std::min(kWave, n_chunks - begin), num_threads_, [&](Index i) {
      const kernels::FlushDenormals flush;
      const Index first = (begin + i) * kChunk;
      std::vector<Index> rows(at(std::min(kChunk, validation_.size - first)));
      std::iota(rows.begin(), rows.end(), first);
      autograd::Tape<float> tape;
      const nn::BoundParameters<float> constant(tape, parameters);
      const auto batch = nn::recurrent_batch(tape, validation_, rows);
      const auto x = state_.forward(constant, validation_, rows, batch, RowsOf::kEvents, nullptr);
      losses[at(begin + i)] =
          static_cast<double>(loss(constant, x, validation_, rows, 1.0F).value()(0, 0));
    });
    ecseq::report(progress_, where_);
  }
  const double mean =
      std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(validation_pairs_);
  return {-mean, mean};
}

}  // namespace ecseq::encoders
