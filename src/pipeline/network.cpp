#include "ecseq/pipeline/network.hpp"

#include <algorithm>
#include <utility>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/pipeline/metrics.hpp"

namespace ecseq::pipeline {
namespace {

constexpr Index kChunk = 256;
constexpr Index kLargestBatch = 1024;

Network train(nn::Scaler scaler, nn::FeedForward network, const TrainingSet& training,
              const ValidationSet& validation, Task task, double dropout,
              nn::TrainingOptions options, nn::TrainingReport& report,
              const ProgressCallback& progress) {
  const Matrix<float> inputs = scaler.apply(training.inputs);
  if (options.batch_size <= 0) {
    options.batch_size = nn::automatic_batch_size(inputs.rows(), kLargestBatch);
  }
  const Index in = inputs.cols();
  const Index out = training.channels.cols;

  const nn::ShardLoss shard_loss = [&](const nn::BoundParameters<float>& bound,
                                       std::span<const Index> rows, Rng& rng) {
    auto& tape = bound.tape();
    const auto n = static_cast<Index>(rows.size());
    auto x = tape.constant(n, in);
    auto y = tape.constant(n, out);
    float* weight = tape.scratch(n);
    for (Index i = 0; i < n; ++i) {
      const Index row = rows[static_cast<std::size_t>(i)];
      x.value().row(i) = inputs.row(row);
      y.value().row(i) = training.channels.eigen().row(row);
      weight[i] = training.weights ? training.weights[row] : 1.0f;
    }
    const auto prediction = network.forward(bound, x, dropout, rng);
    const MatrixView<float> targets(y.value().data(), n, out);
    switch (task) {
      case Task::kBinary:
        return autograd::binary_cross_entropy(prediction, targets, weight);
      case Task::kMulticlass:
        return autograd::cross_entropy(prediction, targets, weight);
      case Task::kRegression:
        break;
    }
    return autograd::squared_error(prediction, targets, weight);
  };
  const nn::Validate validate = [&](const nn::Parameters<float>& parameters) {
    nn::FeedForward current = network;
    current.parameters() = parameters;
    const Matrix<float> outputs =
        Network(scaler, std::move(current)).predict(validation.inputs, options.num_threads);
    return nn::ValidationScore{selection_score(outputs, *validation.y),
                               mean_loss(outputs, *validation.y)};
  };
  nn::Parameters<float> parameters = network.parameters();
  report = nn::train(parameters, {inputs.rows(), shard_loss, validate}, options, progress);
  if (report.stop_reason == "interrupted") throw Interrupted();
  network.parameters() = std::move(parameters);
  return Network(std::move(scaler), std::move(network));
}

}  // namespace

Matrix<float> Network::predict(MatrixView<float> x, int num_threads) const {
  Matrix<float> y(x.rows, network_.out());
  parallel_chunks(x.rows, kChunk, num_threads, [&](Index begin, Index end) {
    const Matrix<float> scaled = scaler_.apply({x.row(begin), end - begin, x.cols});
    network_.predict(packed_, scaled.data(), end - begin, y.row(begin).data());
  });
  return y;
}

Matrix<float> Network::hidden_layer(MatrixView<float> x, int num_threads) const {
  Matrix<float> z(x.rows, network_.hidden());
  parallel_chunks(x.rows, kChunk, num_threads, [&](Index begin, Index end) {
    std::vector<float> scratch;
    const Matrix<float> scaled = scaler_.apply({x.row(begin), end - begin, x.cols});
    network_.hidden_layer(packed_, scaled.data(), end - begin, z.row(begin).data(), scratch);
  });
  return z;
}

void Network::save(io::TensorFile& file, const std::string& prefix) const {
  file.floats[prefix + "scale.mean"] = scaler_.mean;
  file.floats[prefix + "scale.inverse_std"] = scaler_.inverse_std;
  const auto& parameters = network_.parameters();
  for (std::size_t i = 0; i < parameters.entries().size(); ++i) {
    file.floats[prefix + parameters.entries()[i].name] =
        parameters.view(static_cast<int>(i)).eigen();
  }
}

Network Network::load(const io::TensorFile& file, const std::string& prefix) {
  const auto get = [&](const std::string& name) -> const Matrix<float>& {
    const auto found = file.floats.find(prefix + name);
    if (found == file.floats.end()) {
      throw FileError("model file: tensor '" + prefix + name + "' is missing");
    }
    return found->second;
  };
  nn::Scaler scaler;
  scaler.mean = get("scale.mean").reshaped().transpose();
  scaler.inverse_std = get("scale.inverse_std").reshaped().transpose();
  const bool linear = file.floats.count(prefix + "hidden.weight") == 0;
  const Index hidden = linear ? 0 : get("hidden.weight").cols();
  Rng unused(0);
  nn::FeedForward network(scaler.mean.size(), hidden, get("output.weight").cols(), unused);
  auto& parameters = network.parameters();
  for (std::size_t i = 0; i < parameters.entries().size(); ++i) {
    const auto& entry = parameters.entries()[i];
    const Matrix<float>& tensor = get(entry.name);
    if (tensor.rows() != entry.rows || tensor.cols() != entry.cols) {
      throw FileError("model file: tensor '" + prefix + entry.name + "' has the wrong shape");
    }
    std::copy_n(tensor.data(), tensor.size(), parameters.data(static_cast<int>(i)));
  }
  if (scaler.inverse_std.size() != scaler.mean.size()) {
    throw FileError("model file: the scaler of '" + prefix + "' is of two sizes");
  }
  return Network(std::move(scaler), std::move(network));
}

Network fit_network(const TrainingSet& training, const ValidationSet& validation, Task task,
                    Index hidden, double dropout, const nn::TrainingOptions& options,
                    nn::TrainingReport& report, const ProgressCallback& progress) {
  Rng rng(options.seed, 1);
  return train(nn::Scaler::fit(training.inputs),
               nn::FeedForward(training.inputs.cols, hidden, training.channels.cols, rng), training,
               validation, task, dropout, options, report, progress);
}

Network continue_network(const Network& initial, const TrainingSet& training,
                         const ValidationSet& validation, Task task, double dropout,
                         const nn::TrainingOptions& options, nn::TrainingReport& report,
                         const ProgressCallback& progress) {
  return train(initial.scaler(), initial.weights(), training, validation, task, dropout, options,
               report, progress);
}

}  // namespace ecseq::pipeline
