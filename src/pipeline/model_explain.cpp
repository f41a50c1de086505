#include <algorithm>
#include <cmath>

#include "ecseq/core/parallel.hpp"
#include "model_state.hpp"

namespace ecseq::pipeline {
namespace {

/// One row's prediction with parts of its relations taken away.
class Occlusion {
 public:
  Occlusion(const ModelState& state, RowVector<float> inputs, const RowVector<float>& base)
      : state_(state), inputs_(std::move(inputs)), base_(base) {}

  /// The output with columns [begin, begin + size) replaced by `values`.
  float with(Index begin, const RowVector<float>& values, Index output) const {
    RowVector<float> changed = inputs_;
    changed.segment(begin, values.size()) = values;
    return score(changed, output);
  }
  float score(const RowVector<float>& inputs, Index output) const {
    return finish(state_, {inputs.data(), 1, inputs.size()}, base_, 1)(0, output);
  }
  const RowVector<float>& inputs() const { return inputs_; }

 private:
  const ModelState& state_;
  RowVector<float> inputs_;
  Matrix<float> base_;
};

/// The answer when nothing is attached: the training mean of the block's columns.
RowVector<float> nothing_attached(const ModelState& state, const gnn::SageMean::Block& block) {
  return state.layer.scaler().mean.segment(block.begin, block.size);
}

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
  const double mass = representatives.mass[static_cast<std::size_t>(j)];
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

std::vector<SimilarCase> similar_cases(const ModelState& state, const float* x,
                                       const Occlusion& row, const gnn::SageMean::Block& block,
                                       Index output, float score, Index top) {
  const auto& relation = *state.similarity;
  const auto& representatives = relation.representatives();
  const relation::Neighbourhood all = relation.attach(x);
  std::vector<SimilarCase> out;
  for (std::size_t j = 0; j < all.representative.size(); ++j) {
    RowVector<float> rest = nothing_attached(state, block);
    if (all.representative.size() > 1) relation.aggregate(without(all, j), rest.data());
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
    found.contribution = score - row.with(block.begin, rest, output);
    out.push_back(std::move(found));
  }
  std::stable_sort(out.begin(), out.end(), [](const SimilarCase& a, const SimilarCase& b) {
    return std::abs(a.contribution) > std::abs(b.contribution);
  });
  if (static_cast<Index>(out.size()) > top) out.resize(static_cast<std::size_t>(top));
  return out;
}

}  // namespace

std::vector<Explanation> Model::explain(const Samples& samples, Index top, int num_threads) const {
  const ModelState& state = *state_;
  require_fit(state, samples);
  const Matrix<float> x = embed(state, samples, num_threads);
  const Matrix<float> base = base_outputs(state, x, num_threads);
  const auto entities = entity_features(state, samples, num_threads);
  const Matrix<float> inputs = relation_inputs(state, x, base, entities, num_threads);
  const Matrix<float> outputs = finish(state, inputs, base, num_threads);
  const std::vector<double> times = event_times(samples);

  std::vector<Explanation> out(static_cast<std::size_t>(samples.size()));
  parallel_for(samples.size(), num_threads, [&](Index i) {
    const auto row_number = static_cast<std::size_t>(i);
    Explanation& explanation = out[row_number];
    if (state.task == Task::kMulticlass) outputs.row(i).maxCoeff(&explanation.output);
    const Index output = explanation.output;
    explanation.score = outputs(i, output);
    explanation.base_score = base(i, output);

    const Occlusion row(state, inputs.row(i), base.row(i));
    RowVector<float> nothing = inputs.row(i);
    std::size_t block = 1;
    if (state.similarity) {
      explanation.similar = similar_cases(state, x.row(i).data(), row, state.blocks[block], output,
                                          explanation.score, top);
      nothing.segment(state.blocks[block].begin, state.blocks[block].size) =
          nothing_attached(state, state.blocks[block]);
      ++block;
    }
    for (std::size_t e = 0; e < state.entities.size(); ++e, ++block) {
      const auto& memory = state.entities[e];
      RowVector<float> unseen(memory.n_features());
      memory.features(relation::kNoEntity, times[row_number], unseen.data());
      EntityCase found;
      found.by = state.options.entities[e].by;
      const auto key = entity_column(samples, found.by).keys[row_number];
      found.known = memory.knows(key);
      found.names = memory.feature_names();
      found.facts.assign(entities[e].row(i).begin(), entities[e].row(i).end());
      found.contribution = explanation.score - row.with(state.blocks[block].begin, unseen, output);
      nothing.segment(state.blocks[block].begin, unseen.size()) = unseen;
      explanation.entities.push_back(std::move(found));
    }
    explanation.without_relations = row.score(nothing, output);
  });
  return out;
}

}  // namespace ecseq::pipeline
