#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ecseq/pipeline/model.hpp"
#include "ecseq/serving/entity_reader.hpp"
#include "ecseq/serving/request.hpp"
#include "ecseq/serving/state.hpp"
#include "ecseq/serving/workspace.hpp"

namespace ecseq::serving {

struct ScorerOptions {
  /// What a streaming state holds. 0: what the encoder's layers have made of all events so far,
  /// where they can go on from it (LSTM and GRU in one direction), else the last 64 events; n: the
  /// last n events, read again with every new one, as a model trained on windows of n saw them.
  Index window = 0;
  /// How `load` takes the file: mapped, processes that score with one file share what is read where
  /// it lies in it, the tables of categories (an encoder's largest tensors; weights are packed for
  /// the processor anyway, and that copy is the process's own). A mapped file must be replaced by
  /// renaming, never written in place: see io::FileAccess.
  io::FileAccess file_access = io::FileAccess::kMap;
};

/// What a request came to. Lies in the workspace until its next use.
struct Score {
  /// Two classes: the probability of the second; several: of each; regression: the value. As the
  /// estimator that wrote the model says them, calibrated where it calibrates.
  std::span<const float> values;
  std::span<const float> logits;     ///< the same before that; in a regression the value again
  std::span<const float> base;       ///< what the base alone says, as `logits`
  std::span<const float> embedding;  ///< [h]

  float value() const { return values.front(); }
};

/// A model, frozen: for a service that links the library, loads one file and scores from many
/// threads, in microseconds, without locks and, given a workspace, without allocation. What does
/// not depend on the target is computed when it is made (ECSeq section III-E: inference): a
/// representative's way through the graph layer's weights, or through all layers where they are
/// linear. Immutable; a copy refers to the same model.
///
/// Scores equal those of pipeline::Model up to rounding.
class Scorer {
 public:
  /// Loads and verifies a model file, which options.file_access maps. Throws FileError;
  /// InvalidArgument for a model whose head is the caller's own (a scikit-learn estimator).
  static Scorer load(const std::string& path, const ScorerOptions& options = {});
  static Scorer from_bytes(std::string_view bytes, const std::string& origin = "model",
                           const ScorerOptions& options = {});
  explicit Scorer(pipeline::Model model, const ScorerOptions& options = {});

  /// Numbers of a score, and columns of an event.
  Index n_outputs() const;
  Index n_features() const;
  Index embedding_size() const;
  /// Whether events must carry times, and requests the moment as of which entities are asked.
  bool reads_event_times() const;
  bool has_timed_entities() const;
  /// By what the entity relations are, in the order of Event::entities.
  const std::vector<std::string>& entity_names() const;

  /// Scores a history. live: entity states that have moved on since the model was made, or null
  /// for those in its file. Throws InvalidArgument where the request does not fit the model or
  /// holds a number that is not finite.
  Score score(const Request& request, Workspace& workspace,
              const EntityReader* live = nullptr) const;
  /// The same with a workspace of the thread's own, for models with one output: its value.
  float score(const Request& request, const EntityReader* live = nullptr) const;
  /// [n, n_outputs], as `score` of each row. num_threads: 0 for all.
  Matrix<float> score_batch(const pipeline::Samples& samples, int num_threads = 0,
                            const EntityReader* live = nullptr) const;
  /// The embedding alone, in the workspace. [embedding_size]
  std::span<const float> embed(const Request& request, Workspace& workspace) const;

  /// Why: see pipeline::Model::explain. Allocates, and takes as long as a few dozen scores.
  pipeline::Explanation explain(const Request& request, Index top,
                                const EntityReader* live = nullptr,
                                const std::string& method = "auto") const;

  // One event at a time. Only of models with an encoder.

  /// Identifies the encoder, by its weights, and what its states are.
  std::uint64_t encoder_id() const;
  /// Bytes of a state block.
  std::size_t state_size() const;
  /// Events that a state's score is made of at most; 0 for all so far.
  Index window() const;
  State start(std::uint64_t user = 0) const;
  /// The same in a block of the caller's, of state_size bytes.
  void start(std::span<std::byte> block, std::uint64_t user) const;
  /// Whether a block is one of this encoder's.
  bool accepts(std::span<const std::byte> block) const;
  /// Reads one event more and scores: equal up to rounding to `score` of all events so far (of the
  /// last window() ones). Throws InvalidArgument, with the block as it was, for a block of another
  /// encoder, an event that does not fit, holds a number that is not finite, or, where times are
  /// read, is earlier than the one before.
  Score update(std::span<std::byte> block, const Event& event, Workspace& workspace,
               const EntityReader* live = nullptr) const;
  float update(State& state, const Event& event, const EntityReader* live = nullptr) const;
  /// Why `update` scores the event as it does; the block stays as it was. Of a window, or of all
  /// events so far, as the block holds them.
  pipeline::Explanation explain_update(std::span<const std::byte> block, const Event& event,
                                       Index top, const EntityReader* live = nullptr,
                                       const std::string& method = "auto") const;

  const pipeline::Model& model() const;

 private:
  struct Frozen;
  struct Advanced;
  void require_one_output(const char* call) const;
  Advanced advance(std::span<const std::byte> block, const Event& event,
                   Workspace& workspace) const;
  pipeline::Explanation explain_samples(pipeline::Samples samples, double time, EntityKeys entities,
                                        Index top, const EntityReader* live,
                                        const std::string& method) const;

  std::shared_ptr<const Frozen> frozen_;
};

}  // namespace ecseq::serving
