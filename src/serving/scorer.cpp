#include "ecseq/serving/scorer.hpp"

#include <algorithm>
#include <utility>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/kernels/flush_denormals.hpp"
#include "frozen.hpp"

namespace ecseq::serving {
namespace {

constexpr Index kRowChunk = 16;

/// The keys that each relation has in one row of samples.
class RowKeys {
 public:
  RowKeys(const pipeline::Samples& samples, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      for (const auto& column : samples.entities) {
        if (column.by == name) columns_.push_back(&column);
      }
    }
    keys_.resize(columns_.size());
  }
  EntityKeys of(Index row) {
    for (std::size_t e = 0; e < columns_.size(); ++e) keys_[e] = columns_[e]->row(row);
    return keys_;
  }

 private:
  std::vector<const pipeline::EntityColumn*> columns_;
  std::vector<std::span<const relation::EntityKey>> keys_;
};

}  // namespace

Scorer::Scorer(pipeline::Model model, const ScorerOptions& options)
    : frozen_(std::make_shared<const Frozen>(std::move(model), options)) {}

Scorer Scorer::load(const std::string& path, const ScorerOptions& options) {
  return Scorer(pipeline::Model::load(path, options.file_access), options);
}

Scorer Scorer::from_bytes(std::string_view bytes, const std::string& origin,
                          const ScorerOptions& options) {
  return Scorer(pipeline::Model::from_bytes(bytes, origin), options);
}

Index Scorer::n_outputs() const { return frozen_->outputs; }
Index Scorer::n_features() const { return frozen_->model.input_features(); }
Index Scorer::embedding_size() const { return frozen_->embedding_size(); }
bool Scorer::reads_event_times() const { return frozen_->reads_event_times(); }
bool Scorer::has_timed_entities() const { return frozen_->timed_entities; }
const std::vector<std::string>& Scorer::entity_names() const { return frozen_->entity_names; }
const pipeline::Model& Scorer::model() const { return frozen_->model; }

std::span<const float> Scorer::embed(const Request& request, Workspace& workspace) const {
  const Frozen& frozen = *frozen_;
  const MatrixView<float>& events = request.events;
  frozen.require_events(request);
  const kernels::FlushDenormals flush;
  workspace.memory.reset();
  float* const x = workspace.memory.take<float>(embedding_size());
  if (!frozen.encoder) {
    std::copy_n(events.data, events.cols, x);
  } else {
    frozen.encoder->encode(events.data, reads_event_times() ? request.times.data() : nullptr,
                           events.rows, x, workspace.memory);
  }
  return {x, static_cast<std::size_t>(embedding_size())};
}

Score Scorer::score(const Request& request, Workspace& workspace, const EntityReader* live) const {
  frozen_->require_entities(request.time, request.entities);
  const std::span<const float> x = embed(request, workspace);
  const kernels::FlushDenormals flush;
  return frozen_->finish({x.data(), request.time, request.entities}, live, workspace);
}

void Scorer::require_one_output(const char* call) const {
  if (n_outputs() == 1) return;
  throw InvalidArgument(std::string(call) + ": the model has " + std::to_string(n_outputs()) +
                        " outputs; give a workspace and read them all");
}

float Scorer::score(const Request& request, const EntityReader* live) const {
  require_one_output("score");
  return score(request, Workspace::of_this_thread(), live).value();
}

Matrix<float> Scorer::score_batch(const pipeline::Samples& samples, int num_threads,
                                  const EntityReader* live) const {
  const Frozen& frozen = *frozen_;
  frozen.model.require_fitting(samples);
  Matrix<float> encoded;
  if (frozen.encoder) encoded = frozen.model.encoder()->encode(*samples.sequences, num_threads);
  const MatrixView<float> x = frozen.encoder ? MatrixView<float>(encoded) : samples.embedding;
  Matrix<float> out(samples.size(), n_outputs());
  parallel_chunks(samples.size(), kRowChunk, num_threads, [&](Index begin, Index end) {
    const kernels::FlushDenormals flush;
    Workspace& workspace = Workspace::of_this_thread();
    RowKeys keys(samples, frozen.entity_names);
    workspace.memory.reset();
    std::span<const relation::Neighbours> neighbours;
    if (frozen.layer && frozen.model.similarity()) {
      neighbours =
          frozen.model.similarity()->attach({x.row(begin), end - begin, x.cols}, workspace.memory);
    }
    const Arena::Mark mark = workspace.memory.mark();
    for (Index i = begin; i < end; ++i) {
      workspace.memory.rewind(mark);
      const double time = samples.times.empty() ? 0.0 : samples.times[static_cast<std::size_t>(i)];
      const auto* found = neighbours.empty() ? nullptr : &neighbours[std::size_t(i - begin)];
      const Score score = frozen.finish({x.row(i), time, keys.of(i), found}, live, workspace);
      std::copy(score.values.begin(), score.values.end(), out.row(i).data());
    }
  });
  return out;
}

}  // namespace ecseq::serving
