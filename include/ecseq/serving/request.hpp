#pragma once

#include <span>

#include "ecseq/core/matrix.hpp"
#include "ecseq/relation/entity_key.hpp"

namespace ecseq::serving {

/// The entities an event names: of each entity relation of the model, in its order, the keys
/// (relation::entity_key): one, several for a relation over sets, or none where there is none.
using EntityKeys = std::span<const std::span<const relation::EntityKey>>;

/// One event of a user, as it happens. Owns nothing.
struct Event {
  std::span<const float> values;  ///< [features]
  /// Seconds since 1970: needed where the encoder reads times or the model has timed entities.
  double time = 0.0;
  EntityKeys entities;  ///< empty for a model without entity relations
};

/// A whole history to be scored. Owns nothing.
struct Request {
  MatrixView<float> events;       ///< [length, features], oldest first; for a model on embeddings
                                  ///< from elsewhere [1, h], the embedding
  std::span<const double> times;  ///< [length] seconds since 1970, where the encoder reads times
  double time = 0.0;              ///< as of when timed entities are asked, seconds since 1970
  EntityKeys entities;
};

}  // namespace ecseq::serving
