#pragma once

#include <string>
#include <vector>

#include "ecseq/relation/entity_memory.hpp"
#include "model_state.hpp"

namespace ecseq::pipeline {

// What entity relations contribute to a model's inputs: one matrix [n, entity_width] per relation.
// channels: [n, outputs] labels as LabelChannels hold them; base: [n, outputs] the base's outputs.

EntityBlocks slice(const EntityBlocks& all, Index begin, Index end);

/// What every entity relation makes of the training and of the validation rows.
struct EntityInputs {
  EntityBlocks training;
  EntityBlocks validation;
};

/// Labelled rows: whom they relate to, their labels, and what the base says of them.
struct EntityRows {
  const Samples& samples;
  const Matrix<float>& channels;
  const Matrix<float>& base;
};

/// Makes the state's entity memories and fills them. With times: one causal pass over both parts
/// together. Without: training rows leave themselves out, validation rows see the training rows;
/// then all are observed.
EntityInputs build_entities(ModelState& state, const EntityRows& training,
                            const EntityRows& validation, const std::vector<double>& prior,
                            int num_threads);

/// Weights of the training rows for what is learned on top: 0 for rows before the first moment at
/// which an entity can be known for anything, two label delays after the first row (the delay until
/// a label is known and as long again for enough of them to be), the others' `weights` (empty: 1
/// each) scaled to mean 1. A layer that learns from rows without memory learns not to trust it.
/// Empty where all rows count alike.
std::vector<float> informed_weights(const ModelState& state, const Samples& training,
                                    std::vector<float> weights);

/// As of samples.times; the memories stay as they are.
EntityBlocks entity_features(const ModelState& state, const Samples& samples, int num_threads);

/// Each row as of its own moment, the rows before it observed. On copies: the state stays.
EntityBlocks replay_entities(const ModelState& state, const EntityRows& rows, int num_threads);

/// Advances the memories by labelled rows. Where it throws, nothing has changed.
void observe_entities(ModelState& state, const EntityRows& rows, int num_threads);

/// Columns of a relation's matrix, and their names.
Index entity_width(const relation::EntityMemory& memory);
std::vector<std::string> entity_names(const relation::EntityMemory& memory);
/// A row of that matrix for entities never seen.
RowVector<float> unseen_entity(const relation::EntityMemory& memory, double time);
/// Whether the row's entity, or one of its set, has been seen.
bool knows_entity(const relation::EntityMemory& memory, const EntityColumn& column, Index row);

/// The column of `samples` that an entity relation needs; throws InvalidArgument if it is absent,
/// has not one entry per row, or has sets where the relation is by one entity each.
const EntityColumn& entity_column(const Samples& samples, const relation::EntityOptions& options);
/// Where each entity relation's event times come from: samples.times, or zeros.
std::vector<double> event_times(const Samples& samples);

}  // namespace ecseq::pipeline
