#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ecseq/encoders/stream_encoder.hpp"
#include "ecseq/serving/scorer.hpp"
#include "file_entities.hpp"
#include "folded_layer.hpp"
#include "link.hpp"

namespace ecseq::serving {

/// One target, its events read already.
struct Target {
  const float* x;  ///< [h], its embedding, which lies in the workspace
  double time;
  EntityKeys entities;
  const relation::Neighbours* neighbours = nullptr;  ///< null: not looked up yet
};

/// What a scorer holds.
struct Scorer::Frozen {
  Frozen(pipeline::Model fitted, const ScorerOptions& given);
  Frozen(const Frozen&) = delete;  // the folded layer refers to the model

  const pipeline::Model model;
  ScorerOptions options;
  std::vector<std::string> entity_names;
  bool timed_entities = false;
  Index outputs = 1;
  std::optional<encoders::StreamEncoder> encoder;
  nn::Scaler base_scaler;  ///< where no encoder has a head
  std::optional<DenseChain> base;
  FileEntities file_entities;        ///< where no live ones are given
  std::optional<FoldedLayer> layer;  ///< none where the gate keeps the base
  Link link;

  std::uint64_t encoder_id = 0;
  Index window = 0;         ///< events in a state; 0 where layers go on from numbers
  Index state_numbers = 0;  ///< floats of a state, after its times
  Index state_times = 0;    ///< doubles of a state

  Index embedding_size() const {
    return encoder ? encoder->embedding_size() : model.input_features();
  }
  bool reads_event_times() const { return encoder && encoder->reads_times(); }
  std::size_t state_size() const {
    return sizeof(StateHead) + sizeof(double) * static_cast<std::size_t>(state_times) +
           sizeof(float) * static_cast<std::size_t>(state_numbers);
  }

  // The steps of a score, in order.
  /// x: [h]; out: [n_outputs]
  void base_outputs(const float* x, float* out, Arena& memory) const;
  /// base, out: [n_outputs], logits or values
  void relate(const Target& target, const float* base, const EntityReader& from, float* out,
              Workspace& workspace) const;
  /// All of it.
  Score finish(const Target& target, const EntityReader* live, Workspace& workspace) const;

  // What a request must be; each throws InvalidArgument.
  void require_events(const Request& request) const;
  void require_entities(double time, EntityKeys entities) const;
};

}  // namespace ecseq::serving
