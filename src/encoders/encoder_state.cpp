#include "encoder_state.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ecseq/core/parallel.hpp"
#include "ecseq/kernels/flush_denormals.hpp"

namespace ecseq::encoders {
namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// Cuts `runs`, longest first, into parts of about equally many events: as many as keep each thread
/// busy, of several register and cache tiles. A sequence's bits do not depend on its part.
/// Returns the end of each part.
std::vector<Index> chunk_ends(const std::vector<kernels::EventRun>& runs, Index events,
                              int threads) {
  constexpr Index kSequences = 96, kFewest = 24;
  const auto n = static_cast<Index>(runs.size());
  const auto parts = [](Index whole, Index part) { return (whole + part - 1) / part; };
  const Index shared = std::min<Index>(threads, parts(n, kFewest));
  const Index chunks = parts(std::max(shared, parts(n, kSequences)), shared > 0 ? shared : 1) *
                       std::max<Index>(shared, 1);
  std::vector<Index> ends;
  Index done = 0;
  for (Index i = 0; i < n; ++i) {
    done += runs[at(i)].length;
    const bool full = done * chunks >= events * (static_cast<Index>(ends.size()) + 1);
    if (full || i + 1 == n) ends.push_back(i + 1);
  }
  return ends;
}

/// One chunk of sequences through the layers.
class ChunkEncoder {
 public:
  /// first_rows: where each sequence's rows begin in `out`; empty for one row per sequence.
  ChunkEncoder(const EncoderState& state, const SequencesView& sequences,
               std::span<const Index> first_rows, Matrix<float>& out)
      : state_(state),
        sequences_(sequences),
        first_rows_(first_rows),
        out_(out),
        keeps_states_(!first_rows.empty() || !state.pooling.is_last()) {}

  /// runs: longest first; `result` is the sequence's number.
  void encode(std::span<kernels::EventRun> runs) {
    // Tables are held for as many sequences at once as keep to this many events.
    constexpr Index kEvents = Index{1} << 14;
    const bool bounded = state_.needs_table() || keeps_states_ || state_.backbone->holds_states();
    while (!runs.empty()) {
      auto size = static_cast<Index>(runs.size());
      if (bounded) size = std::clamp<Index>(kEvents / runs.front().length, 1, size);
      encode_group(runs.first(at(size)));
      runs = runs.subspan(at(size));
    }
  }

 private:
  void encode_group(std::span<kernels::EventRun> runs) {
    Index events = 0;
    for (auto& run : runs) {
      run.first = events;
      events += run.length;
    }
    kernels::LayerSource<float> source{state_.events.standardisation()};
    if (state_.needs_table()) {
      const Index inputs = state_.events.inputs();
      table_.resize(std::max(table_.rows(), events), inputs);
      for (const auto& run : runs) {
        state_.events.encode(state_.parameters, sequences_, run.result,
                             table_.data() + run.first * inputs);
      }
      source = {{}, table_.data()};
    }
    const Index width = out_.cols();
    if (!keeps_states_) {
      state_.backbone->run(runs, source, nn::StatesOf::kLastStep, out_.data(), width, memory_);
      memory_.reset();
      return;
    }
    states_.resize(std::max(states_.rows(), events), width);
    state_.backbone->run(runs, source, nn::StatesOf::kEveryStep, states_.data(), width, memory_);
    memory_.reset();
    for (const auto& run : runs) {
      const float* const states = states_.data() + run.first * width;
      if (first_rows_.empty()) {
        state_.pooling.pool(states, run.length, out_.row(run.result).data(), memory_);
        memory_.reset();
      } else {
        std::copy_n(states, run.length * width, out_.row(first_rows_[at(run.result)]).data());
      }
    }
  }

  const EncoderState& state_;
  const SequencesView& sequences_;
  std::span<const Index> first_rows_;
  Matrix<float>& out_;
  bool keeps_states_;
  Matrix<float> table_;   ///< [events of a group or more, inputs]
  Matrix<float> states_;  ///< [events of a group or more, width]
  Arena memory_;
};

}  // namespace

void EncoderState::declare(Rng& rng) {
  events.declare(parameters, rng);
  const Index before = parameters.size();
  backbone = make_backbone(options, events.inputs(), parameters, rng);
  flops_per_event = 2.0 * static_cast<double>(parameters.size() - before);
  pooling = StatePooling(options, parameters, rng);
}

void EncoderState::declare_head(Index outputs, Rng& rng) {
  const Index width = options.embedding_size();
  const double bound = 1.0 / std::sqrt(static_cast<double>(width));
  head_weight = parameters.add_uniform("head.weight", width, outputs, bound, rng);
  head_bias = parameters.add("head.bias", 1, outputs);
}

void EncoderState::pack() {
  backbone->pack(parameters);
  pooling.pack(parameters);
  if (has_head()) {
    head = kernels::PackedMatrix(parameters.view(head_weight), parameters.data(head_bias));
  }
}

void EncoderState::require_fit(const SequencesView& sequences, const char* name) const {
  events.require_fit(sequences, name);
  for (Index i = 0; i < sequences.size; ++i) backbone->require_length(sequences.length(i));
}

autograd::Variable<float> EncoderState::forward(const nn::BoundParameters<float>& bound,
                                                const SequencesView& sequences,
                                                std::span<const Index> rows,
                                                const nn::RecurrentBatch& batch, RowsOf rows_of,
                                                Rng* rng) const {
  nn::LayerInput<float> input{events.standardisation(), nullptr};
  autograd::Variable<float> table;
  if (needs_table()) {
    table = events.encode(bound, sequences, rows, batch.events);
    input = {{}, &table};
  }
  const bool last_only = rows_of == RowsOf::kSequences && pooling.is_last();
  const auto states = backbone->states(
      bound, batch, input, last_only ? nn::StatesOf::kLastStep : nn::StatesOf::kEveryStep, rng);
  return last_only || rows_of == RowsOf::kEvents ? states : pooling.pool(bound, batch, states);
}

Matrix<float> EncoderState::encode(const SequencesView& sequences, RowsOf rows_of, int num_threads,
                                   const ProgressCallback& progress, const Progress& where) const {
  // Like lengths together: the tiles stay full, and the longest work starts first.
  std::vector<kernels::EventRun> runs(at(sequences.size));
  std::vector<Index> first_rows;
  Index events_in_all = 0;
  for (Index i = 0; i < sequences.size; ++i) {
    runs[at(i)] = {sequences.events(i), sequences.length(i), i};
    if (rows_of == RowsOf::kEvents) first_rows.push_back(events_in_all);
    events_in_all += sequences.length(i);
  }
  std::sort(runs.begin(), runs.end(), [](const auto& a, const auto& b) {
    return a.length != b.length ? a.length > b.length : a.result < b.result;
  });
  Matrix<float> out(rows_of == RowsOf::kEvents ? events_in_all : sequences.size,
                    options.embedding_size());
  const std::vector<Index> chunks = chunk_ends(runs, events_in_all, resolve_threads(num_threads));
  const auto n_chunks = static_cast<Index>(chunks.size());
  const auto encode_chunk = [&](Index chunk) {
    const kernels::FlushDenormals flush;
    const Index begin = chunk == 0 ? 0 : chunks[at(chunk - 1)];
    ChunkEncoder(*this, sequences, first_rows, out)
        .encode({runs.data() + begin, at(chunks[at(chunk)] - begin)});
  };
  // Waves of some 10 ms, between which the caller may stop the work, of as many chunks for each
  // thread.
  constexpr double kWave = 1e9;
  const Index threads = resolve_threads(num_threads);
  const double flops_per_chunk = flops_per_event * static_cast<double>(events_in_all) /
                                 static_cast<double>(std::max<Index>(n_chunks, 1));
  const Index wave =
      threads * static_cast<Index>(std::clamp(std::round(kWave / flops_per_chunk), 1.0, 1e6));
  for (Index begin = 0; begin < n_chunks; begin += wave) {
    parallel_for(std::min(wave, n_chunks - begin), num_threads,
                 [&](Index i) { encode_chunk(begin + i); });
    ecseq::report(progress, where);
  }
  return out;
}

// The kernel's rows do not depend on each other to the last bit; Eigen's product does not say.
Matrix<float> EncoderState::decide(MatrixView<float> embedding) const {
  constexpr Index kRows = 64;
  Matrix<float> out(embedding.rows, head.out());
  Matrix<float> padded(std::min(kRows, embedding.rows), head.padded());
  for (Index begin = 0; begin < embedding.rows; begin += kRows) {
    const Index rows = std::min(kRows, embedding.rows - begin);
    kernels::project(head, embedding.row(begin), embedding.cols, rows, padded.data(),
                     padded.cols());
    out.middleRows(begin, rows) = padded.topLeftCorner(rows, out.cols());
  }
  if (task == Task::kRegression) {
    for (Index i = 0; i < out.size(); ++i) {
      out.data()[i] = target_mean + target_std * out.data()[i];
    }
  }
  return out;
}

}  // namespace ecseq::encoders
