#include "encoder_tuning.hpp"

#include <algorithm>
#include <utility>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/pipeline/metrics.hpp"

namespace ecseq::pipeline {
namespace {

using autograd::Variable;

constexpr double kGentler = 0.2;  ///< of the layer's rate: the encoder is near its optimum
constexpr int kMostEpochs = 20;

/// (x - mean) / std column by column, without the clip, which has no gradient.
Variable<float> standardise(Variable<float> x, const nn::Scaler& scaler) {
  auto& tape = x.tape();
  const Index d = x.cols();
  auto scale = tape.constant(d, d), shift = tape.constant(1, d);
  scale.value().setZero();
  for (Index j = 0; j < d; ++j) {
    scale.value()(j, j) = scaler.inverse_std[j];
    shift.value()(0, j) = -scaler.mean[j] * scaler.inverse_std[j];
  }
  return autograd::linear(x, scale, shift);
}

Variable<float> in_units_of_target(Variable<float> outputs, const ModelState& state) {
  if (state.task != Task::kRegression) return outputs;
  auto scale = outputs.tape().constant(1, 1), shift = outputs.tape().constant(1, 1);
  scale.value()(0, 0) = static_cast<float>(state.target_std);
  shift.value()(0, 0) = static_cast<float>(state.target_mean);
  return autograd::linear(outputs, scale, shift);
}

/// The representatives' average as the embedding moves: weights softmax(-2 d^2 / mean d^2), where
/// the neighbours and the mean of their squared distances count as constants.
class Attachment {
 public:
  Attachment(const relation::SimilarityRelation& relation, const Matrix<float>& labels)
      : relation_(relation), labels_(labels) {}

  Variable<float> average(Variable<float> x, std::span<const Index> rows) const {
    auto& tape = x.tape();
    const Index n = x.rows(), h = x.cols(), f = relation_.n_features();
    // What the rows are attached to where they are now, without their own labels.
    relation::Attachments found = relation_.attach({x.value().data(), n, h}, 1);
    found.own_labels.resize(n, labels_.cols());
    for (Index i = 0; i < n; ++i) {
      const Index row = rows[static_cast<std::size_t>(i)];
      found.own.push_back(relation_.assignment()[static_cast<std::size_t>(row)]);
      found.own_mass.push_back(1.0);
      found.own_labels.row(i) = labels_.row(row);
    }
    const Index edges = found.offsets.back();
    Index* const offsets = tape.scratch_of<Index>(n + 1);
    Index* const target = tape.scratch_of<Index>(edges);
    std::copy(found.offsets.begin(), found.offsets.end(), offsets);
    auto nodes = tape.constant(edges, f), away = tape.constant(edges, h);
    for (Index t = 0; t < n; ++t) {
      for (Index e = found.begin(t); e < found.end(t); ++e) {
        target[e] = t;
        const Index j = found.source[static_cast<std::size_t>(e)];
        relation_.node(j, found, t, nodes.value().row(e).data());
        away.value().row(e) = -nodes.value().row(e).head(h);  // the standardised vector
      }
    }
    const std::span<const Index> segments(offsets, static_cast<std::size_t>(n) + 1);
    const auto scaled = standardise(x, relation_.scaler());
    const auto difference = autograd::add(
        autograd::gather_rows(scaled, {target, static_cast<std::size_t>(edges)}), away);
    const auto distance = autograd::row_dot(difference, difference);
    auto rate = tape.constant(edges, 1);
    for (Index t = 0; t < n; ++t) {
      double mean = 0.0;
      for (Index e = found.begin(t); e < found.end(t); ++e) {
        mean += distance.value()(e, 0) / static_cast<double>(found.end(t) - found.begin(t));
      }
      for (Index e = found.begin(t); e < found.end(t); ++e) {
        rate.value()(e, 0) = mean > 0.0 ? static_cast<float>(-2.0 / mean) : 0.0f;
      }
    }
    const auto weight =
        autograd::segment_softmax(autograd::multiply_rows(distance, rate), segments);
    return autograd::segment_sum(autograd::multiply_rows(nodes, weight), segments);
  }

 private:
  const relation::SimilarityRelation& relation_;
  const Matrix<float>& labels_;
};

}  // namespace

encoders::SequenceEncoder tuned_encoder(const ModelState& fitted, const TuningData& data,
                                        const ProgressCallback& progress) {
  ModelState now = fitted;  // its relation follows the encoder
  const Network& layer = fitted.layer.network();
  const nn::Scaler& scaler = layer.scaler();
  const Supervision supervision{data.channels.values,
                                data.weights.empty() ? nullptr : data.weights.data(), fitted.task,
                                fitted.options.loss, fitted.options.selection};
  const int threads = fitted.options.training.num_threads;
  const auto refresh = [&](const encoders::SequenceEncoder& encoder) {
    const Matrix<float> x = encoder.encode(*data.training.sequences, threads);
    now.similarity.emplace(x, data.channels, fitted.task, data.groups, fitted.similarity->options(),
                           fitted.options.training.seed, threads, ProgressCallback());
  };
  refresh(*fitted.encoder);

  nn::FeedForward network = layer.weights();
  encoders::EmbeddingObjective objective;
  objective.loss = [&](const nn::BoundParameters<float>& own, Variable<float> x,
                       Variable<float> head, std::span<const Index> rows, Rng& rng) {
    auto& tape = x.tape();
    const auto n = static_cast<Index>(rows.size());
    const Attachment attachment(*now.similarity, data.channels.values);
    std::vector<Variable<float>> blocks;
    blocks.push_back(x);
    if (fitted.options.residual) {
      blocks.push_back(in_units_of_target(head, fitted));
    }
    blocks.push_back(attachment.average(x, rows));
    for (const auto& features : data.entities.facts) {
      auto block = tape.constant(n, features.cols());
      for (Index i = 0; i < n; ++i) {
        block.value().row(i) = features.row(rows[static_cast<std::size_t>(i)]);
      }
      blocks.push_back(block);
    }
    const auto dense = autograd::concat_columns(std::span<const Variable<float>>(blocks));
    const auto outputs =
        network.forward(own, standardise(dense, scaler), fitted.options.dropout, rng);
    return autograd::add(loss_of(outputs, supervision, rows), loss_of(head, supervision, rows));
  };
  objective.validate = [&](const encoders::SequenceEncoder& encoder,
                           const nn::Parameters<float>& own) {
    refresh(encoder);
    nn::FeedForward current = network;
    current.parameters() = own;
    const Matrix<float> x = encoder.encode(*data.validation.sequences, threads);
    const LayerInputs inputs =
        relation_inputs(now, x, encoder.decide(x), data.entities_validation, threads);
    const Matrix<float> outputs =
        Network(scaler, std::move(current)).predict(inputs.dense, threads);
    return nn::ValidationScore{
        selection_score(outputs, data.y_validation, fitted.options.selection),
        mean_loss(outputs, data.y_validation)};
  };
  nn::Parameters<float> own = network.parameters();
  nn::TrainingOptions how = fitted.options.training;
  how.stage = "tune encoder";
  how.learning_rate *= kGentler;
  how.max_epochs = std::min(how.max_epochs, kMostEpochs);
  how.patience = std::min(how.patience, 3);
  return encoders::SequenceEncoder::tune(*fitted.encoder, *data.training.sequences, own, objective,
                                         how, progress);
}

}  // namespace ecseq::pipeline
