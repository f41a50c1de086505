#include "ecseq/pipeline/network.hpp"

#include <algorithm>
#include <utility>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "parameter_file.hpp"

namespace ecseq::pipeline {
namespace {

constexpr Index kChunk = 256;

Network train(nn::Scaler scaler, nn::FeedForward network, const TrainingSet& training,
              const ValidationSet& validation, Task task, const NetworkOptions& options,
              nn::TrainingReport& report, const ProgressCallback& progress) {
  const MatrixView<float> inputs = training.inputs;
  const Forward forward = [&](const nn::BoundParameters<float>& bound, std::span<const Index> rows,
                              Rng& rng) {
    auto x = bound.tape().constant(static_cast<Index>(rows.size()), inputs.cols);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      scaler.apply(inputs.row(rows[i]), x.value().row(static_cast<Index>(i)).data());
    }
    return network.forward(bound, x, options.dropout, rng);
  };
  const Predict predict = [&](const nn::Parameters<float>& parameters) {
    nn::FeedForward current = network;
    current.parameters() = parameters;
    return Network(scaler, std::move(current))
        .predict(validation.inputs, options.training.num_threads);
  };
  nn::Parameters<float> parameters = network.parameters();
  report =
      train_supervised(parameters, forward,
                       {training.channels, training.weights, task, options.loss, options.selection},
                       predict, *validation.y, options.training, progress);
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
  Matrix<float> z(x.rows, network_.hidden().front());
  parallel_chunks(x.rows, kChunk, num_threads, [&](Index begin, Index end) {
    std::vector<float> scratch;
    const Matrix<float> scaled = scaler_.apply({x.row(begin), end - begin, x.cols});
    network_.hidden_layer(packed_, scaled.data(), end - begin, z.row(begin).data(), scratch);
  });
  return z;
}

Attribution Network::attribute(MatrixView<float> x, Index output) const {
  autograd::Tape<float> tape;
  Rng unused(0);
  RowVector<float> scaled(x.cols), gradient = RowVector<float>::Zero(x.cols);
  scaler_.apply(x.row(0), scaled.data());
  const nn::BoundParameters<float> bound(tape, network_.parameters());
  const auto y =
      network_.forward(bound, tape.leaf({scaled.data(), 1, x.cols}, gradient.data()), 0.0, unused);
  const auto chosen = autograd::slice_columns(y, output, 1);
  tape.backward(chosen);
  Attribution out;
  out.value = out.rest = chosen.value()(0, 0);
  for (Index c = 0; c < x.cols; ++c) {
    out.dense.push_back(scaled[c] * gradient[c]);
    out.rest -= out.dense.back();
  }
  return out;
}

void Network::save(io::TensorFile& file, const std::string& prefix) const {
  save_scaler(scaler_, file, prefix);
  save_parameters(network_.parameters(), file, prefix);
}

Network Network::load(const io::TensorFile& file, const std::string& prefix,
                      nn::Activation activation) {
  nn::Scaler scaler = load_scaler(file, prefix);
  // The layers follow each other: the network is then no larger than the file.
  Index in = scaler.size();
  const auto width_of = [&](const std::string& name) {
    const SharedMatrix& weight = tensor_of(file, prefix + name + ".weight");
    const Index out = tensor_of(file, prefix + name + ".bias").size();
    if (weight.rows() != in || weight.cols() != out || in < 1 || out < 1) {
      throw FileError("model file: tensor '" + prefix + name + ".weight' has the wrong shape");
    }
    return in = out;
  };
  std::vector<Index> hidden;
  for (std::size_t l = 0;; ++l) {
    const std::string name = nn::hidden_layer_name(l);
    if (file.floats.count(prefix + name + ".weight") == 0) break;
    hidden.push_back(width_of(name));
  }
  Rng unused(0);
  nn::FeedForward network(scaler.size(), hidden, width_of("output"), unused, activation);
  load_parameters(network.parameters(), file, prefix);
  return Network(std::move(scaler), std::move(network));
}

Network fit_network(const TrainingSet& training, const ValidationSet& validation, Task task,
                    const NetworkOptions& options, nn::TrainingReport& report,
                    const ProgressCallback& progress) {
  Rng rng(options.training.seed, 1);
  const Index in = training.inputs.cols;
  return train(options.standardize ? nn::Scaler::fit(training.inputs) : nn::Scaler::identity(in),
               nn::FeedForward(in, options.hidden, training.channels.cols, rng, options.activation),
               training, validation, task, options, report, progress);
}

Network continue_network(const Network& initial, const TrainingSet& training,
                         const ValidationSet& validation, Task task, const NetworkOptions& options,
                         nn::TrainingReport& report, const ProgressCallback& progress) {
  return train(initial.scaler(), initial.weights(), training, validation, task, options, report,
               progress);
}

}  // namespace ecseq::pipeline
