#include "ecseq/pipeline/supervision.hpp"

#include <cmath>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/pipeline/metrics.hpp"

namespace ecseq::pipeline {
namespace {

constexpr Index kLargestBatch = 1024;

/// Huber's loss with delta 1, averaged.
double mean_huber(const Matrix<float>& outputs, const Targets& y) {
  double sum = 0.0;
  for (Index i = 0; i < outputs.rows(); ++i) {
    const double e = std::abs(static_cast<double>(outputs(i, 0)) -
                              static_cast<double>(y.values[static_cast<std::size_t>(i)]));
    sum += e > 1.0 ? e - 0.5 : 0.5 * e * e;
  }
  return sum / static_cast<double>(outputs.rows());
}

}  // namespace

autograd::Variable<float> loss_of(autograd::Variable<float> prediction,
                                  const Supervision& supervision, std::span<const Index> rows) {
  auto& tape = prediction.tape();
  const auto n = static_cast<Index>(rows.size());
  const Index out = supervision.channels.cols;
  auto y = tape.constant(n, out);
  float* weight = tape.scratch(n);
  for (Index i = 0; i < n; ++i) {
    const Index row = rows[static_cast<std::size_t>(i)];
    y.value().row(i) = supervision.channels.eigen().row(row);
    weight[i] = supervision.weights ? supervision.weights[row] : 1.0f;
  }
  const MatrixView<float> targets(y.value().data(), n, out);
  if (supervision.loss == "huber") return autograd::huber(prediction, targets, weight);
  if (supervision.loss == "paper" && supervision.task == Task::kBinary) {
    return autograd::squared_error(autograd::sigmoid(prediction), targets, weight);
  }
  switch (supervision.task) {
    case Task::kBinary:
      return autograd::binary_cross_entropy(prediction, targets, weight);
    case Task::kMulticlass:
      return autograd::cross_entropy(prediction, targets, weight);
    case Task::kRegression:
      break;
  }
  return autograd::squared_error(prediction, targets, weight);
}

void require_loss(const std::string& loss, Task task) {
  require_one_of("loss", loss, {"auto", "huber", "paper"});
  if (loss == "huber" && task != Task::kRegression) {
    throw InvalidArgument("loss: 'huber' is for regression; classes need 'auto'");
  }
  if (loss == "paper" && task == Task::kMulticlass) {
    throw InvalidArgument("loss: 'paper' is for two classes or regression; use 'auto'");
  }
}

nn::TrainingReport train_supervised(nn::Parameters<float>& parameters, const Forward& forward,
                                    const Supervision& supervision, const Predict& predict,
                                    const Targets& y_validation, nn::TrainingOptions options,
                                    const ProgressCallback& progress) {
  const Index n = supervision.channels.rows;
  if (options.batch_size <= 0) {
    options.batch_size = nn::automatic_batch_size(n, kLargestBatch);
  }
  const nn::ShardLoss shard_loss = [&](const nn::BoundParameters<float>& bound,
                                       std::span<const Index> rows, Rng& rng) {
    return loss_of(forward(bound, rows, rng), supervision, rows);
  };
  const nn::Validate validate = [&](const nn::Parameters<float>& current) {
    const Matrix<float> outputs = predict(current);
    if (supervision.loss == "huber") {  // what squares would let an outlier decide
      const double loss = mean_huber(outputs, y_validation);
      return nn::ValidationScore{-loss, loss};
    }
    return nn::ValidationScore{selection_score(outputs, y_validation, supervision.selection),
                               mean_loss(outputs, y_validation)};
  };
  nn::TrainingReport report = nn::train(parameters, {n, shard_loss, validate}, options, progress);
  if (report.stop_reason == "interrupted") throw Interrupted();
  return report;
}

}  // namespace ecseq::pipeline
