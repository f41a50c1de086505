#include <algorithm>
#include <cmath>

#include "additive_parts.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"
#include "entity_inputs.hpp"
#include "model_state.hpp"

namespace ecseq::pipeline {
namespace {

/// One row's prediction with parts of its relations taken away.
class Occlusion {
 public:
  Occlusion(const ModelState& state, LayerInputs inputs, const RowVector<float>& base)
      : state_(state), inputs_(std::move(inputs)), base_(base) {}

  const LayerInputs& inputs() const { return inputs_; }
  float score(const LayerInputs& inputs, Index output) const {
    return finish(state_, inputs, base_, 1)(0, output);
  }
  /// The inputs with the columns of an entity as those of one never seen.
  LayerInputs without_entity(LayerInputs inputs, std::size_t e, double time) const {
    const auto& block = state_.entity_block(e);
    inputs.dense.middleCols(block.begin, block.size) = unseen_entity(state_.entities[e], time);
    if (const auto memory = state_.memory_of(e))
      inputs.recent[*memory] = forgotten(inputs, *memory);
    return inputs;
  }
  static RecentRows forgotten(const LayerInputs& inputs, std::size_t memory) {
    return {Matrix<float>(0, inputs.recent[memory].rows.cols()), {0, 0}};
  }
  /// The inputs attached to `rest` alone. Nothing left: where the layer averages, the training mean
  /// of the average; else no edge.
  LayerInputs attached_to(LayerInputs inputs, const relation::Neighbourhood& rest) const {
    if (!state_.averages()) {
      inputs.attachments.offsets = {0, static_cast<Index>(rest.representative.size())};
      inputs.attachments.source = rest.representative;
      inputs.attachments.weight = rest.weight;
      return inputs;
    }
    const auto& block = state_.similarity_block();
    float* columns = inputs.dense.data() + block.begin;
    if (rest.representative.empty()) {
      std::copy_n(state_.layer.scaler().mean.data() + block.begin, block.size, columns);
    } else {
      state_.similarity->aggregate(rest, columns);
    }
    return inputs;
  }

 private:
  const ModelState& state_;
  LayerInputs inputs_;
  Matrix<float> base_;
};

relation::Neighbourhood without(const relation::Neighbourhood& all, std::size_t removed) {
  relation::Neighbourhood rest;
  float total = 0.0f;
  for (std::size_t j = 0; j < all.representative.size(); ++j) {
    if (j == removed) continue;
    rest.representative.push_back(all.representative[j]);
    rest.weight.push_back(all.weight[j]);
    total += all.weight[j];
  }
  for (float& w : rest.weight) w /= total;
  return rest;
}

std::vector<double> label_mix(const ModelState& state, Index j) {
  const auto& representatives = state.similarity->representatives();
  // A representative of rows without labels alone: as the smoothing would have it, nothing known.
  const double mass = std::max(1.0, state.similarity->labelled_mass()[static_cast<std::size_t>(j)]);
  const double first = representatives.label_sums(j, 0) / mass;
  switch (state.task) {
    case Task::kBinary:
      return {1.0 - first, first};
    case Task::kRegression:
      return {first * state.target_std + state.target_mean};
    case Task::kMulticlass:
      break;
  }
  std::vector<double> mix;
  for (Index c = 0; c < representatives.label_sums.cols(); ++c) {
    mix.push_back(representatives.label_sums(j, c) / mass);
  }
  return mix;
}

SimilarCase case_of(const ModelState& state, const float* x, const relation::Neighbourhood& all,
                    std::size_t j) {
  const auto& relation = *state.similarity;
  const auto& representatives = relation.representatives();
  SimilarCase found;
  found.representative = all.representative[j];
  found.similarity = relation.similarity(x, found.representative);
  found.weight = all.weight[j];
  found.mass = representatives.mass[static_cast<std::size_t>(found.representative)];
  found.label_mix = label_mix(state, found.representative);
  for (Index m = 0; m < representatives.cases.cols(); ++m) {
    const auto training_row = representatives.cases(found.representative, m);
    if (training_row >= 0) found.cases.push_back(training_row);
  }
  return found;
}

/// Those that matter most, first; what the others contribute goes to `others`.
void keep_top(std::vector<SimilarCase>& cases, Index top, float& others) {
  std::stable_sort(cases.begin(), cases.end(), [](const SimilarCase& a, const SimilarCase& b) {
    return std::abs(a.contribution) > std::abs(b.contribution);
  });
  while (static_cast<Index>(cases.size()) > top) {
    others += cases.back().contribution;
    cases.pop_back();
  }
}

}  // namespace

std::vector<Explanation> Model::explain(const Samples& samples, Index top, int num_threads,
                                        const std::string& method,
                                        const EntityBlocks* given) const {
  const ModelState& state = *state_;
  require_one_of("method", method, {"auto", "occlusion", "gradient"});
  require_fit(state, samples);
  const Embeddings embeddings(state, samples, num_threads);
  const MatrixView<float> x = embeddings;
  const Matrix<float> base = base_outputs(state, x, num_threads);
  const EntityBlocks entities =
      given != nullptr ? *given : entity_features(state, samples, num_threads);
  const LayerInputs inputs = relation_inputs(state, x, base, entities, num_threads);
  const Matrix<float> outputs = finish(state, inputs, base, num_threads);
  const std::vector<double> times = event_times(samples);
  const bool exact = is_additive(state);
  const bool adds = method == "gradient" || (method == "auto" && exact);

  std::vector<Explanation> out(static_cast<std::size_t>(samples.size()));
  parallel_for(samples.size(), num_threads, [&](Index i) {
    const auto row_number = static_cast<std::size_t>(i);
    Explanation& explanation = out[row_number];
    if (state.task == Task::kMulticlass) outputs.row(i).maxCoeff(&explanation.output);
    const Index output = explanation.output;
    explanation.method = !adds ? "occlusion" : exact ? "additive" : "gradient";
    explanation.score = outputs(i, output);
    explanation.base_score = base(i, output);

    const Occlusion row(state, slice(inputs, i, i + 1), base.row(i));
    relation::Neighbourhood around;
    if (state.similarity) around = state.similarity->attach(x.row(i));
    AdditiveParts parts;
    if (adds) {
      parts = additive_parts(state, row.inputs(), base.row(i), around, output);
      explanation.own = parts.own;
      explanation.rest = parts.rest;
    }
    LayerInputs nothing = row.inputs();
    for (std::size_t j = 0; j < around.representative.size(); ++j) {
      SimilarCase found = case_of(state, x.row(i), around, j);
      found.contribution =
          adds ? parts.similar[j]
               : explanation.score -
                     row.score(row.attached_to(row.inputs(), without(around, j)), output);
      explanation.similar.push_back(std::move(found));
    }
    keep_top(explanation.similar, top, explanation.other_similar);
    if (state.similarity) nothing = row.attached_to(std::move(nothing), {});
    for (std::size_t e = 0; e < state.entities.size(); ++e) {
      const auto& memory = state.entities[e];
      EntityCase found;
      found.by = memory.options().by;
      found.known = knows_entity(memory, entity_column(samples, memory.options()), i);
      found.names = entity_names(memory);
      found.facts.assign(entities.facts[e].row(i).begin(), entities.facts[e].row(i).end());
      found.contribution =
          adds ? parts.entities[e]
               : explanation.score -
                     row.score(row.without_entity(row.inputs(), e, times[row_number]), output);
      nothing = row.without_entity(std::move(nothing), e, times[row_number]);
      explanation.entities.push_back(std::move(found));
    }
    explanation.without_relations = row.score(nothing, output);
  });
  return out;
}

Matrix<float> Model::decide_without(const Samples& samples,
                                    const std::vector<std::vector<std::int64_t>>& removed,
                                    int num_threads) const {
  const ModelState& state = *state_;
  require_fit(state, samples);
  if (!state.similarity) {
    throw InvalidArgument("removed: the model has no representatives by similarity");
  }
  if (static_cast<Index>(removed.size()) != samples.size()) {
    throw InvalidArgument("removed: expected " + std::to_string(samples.size()) +
                          " lists, one per row, got " + std::to_string(removed.size()));
  }
  const Embeddings embeddings(state, samples, num_threads);
  const MatrixView<float> x = embeddings;
  const Matrix<float> base = base_outputs(state, x, num_threads);
  const auto entities = entity_features(state, samples, num_threads);
  const LayerInputs inputs = relation_inputs(state, x, base, entities, num_threads);
  Matrix<float> out(samples.size(), state.n_outputs());
  parallel_for(samples.size(), num_threads, [&](Index i) {
    const Occlusion row(state, slice(inputs, i, i + 1), base.row(i));
    relation::Neighbourhood around = state.similarity->attach(x.row(i));
    for (const std::int64_t j : removed[static_cast<std::size_t>(i)]) {
      const auto at = std::find(around.representative.begin(), around.representative.end(), j);
      if (at == around.representative.end()) continue;
      around = without(around, static_cast<std::size_t>(at - around.representative.begin()));
    }
    const LayerInputs rest = row.attached_to(row.inputs(), around);
    for (Index c = 0; c < out.cols(); ++c) out(i, c) = row.score(rest, c);
  });
  return out;
}

}  // namespace ecseq::pipeline
