#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/sequences.hpp"
#include "ecseq/relation/entity_memory.hpp"

namespace ecseq::pipeline {

/// The entity of each row under one name ("terminal_id"), or a set of entities of each row
/// ("product").
struct EntityColumn {
  std::string by;
  std::vector<relation::EntityKey> keys;  ///< [n], or of all sets; kNoEntity where there is none
  std::vector<Index> offsets = {};        ///< [n + 1] where each row's set begins; empty: one each

  /// Rows.
  Index size() const {
    return static_cast<Index>(offsets.empty() ? keys.size() : offsets.size() - 1);
  }
  /// The keys of row i.
  std::span<const relation::EntityKey> row(Index i) const {
    const auto at = static_cast<std::size_t>(i);
    if (offsets.empty()) return {keys.data() + at, 1};
    return {keys.data() + offsets[at], static_cast<std::size_t>(offsets[at + 1] - offsets[at])};
  }
};

/// Rows to learn from or to score: embeddings from anywhere, or sequences for the model's own
/// encoder; and what relates them.
struct Samples {
  MatrixView<float> embedding;             ///< [n, h], or empty
  std::optional<SequencesView> sequences;  ///< or these
  /// Only where a row is to be explained: `embedding` is what the model's encoder made of events.
  bool encoded = false;
  std::vector<EntityColumn> entities;
  std::vector<double> times;  ///< [n] seconds, or empty
  /// [n, outputs], or empty: training rows only, what the base says of them, logits or values,
  /// where the model's own would say it of rows that it was trained on (cross-fitting).
  MatrixView<float> base;
  /// [n], or empty for 0, 1, ...: what typical cases call the rows of the training part.
  std::vector<std::int64_t> row_numbers;

  Index size() const { return sequences ? sequences->size : embedding.rows; }
};

}  // namespace ecseq::pipeline
