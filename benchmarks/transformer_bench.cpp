// Transformer encoder layers: inference and one training step beside the machine's limit, a large
// sgemm of the same run: compare the FLOP rates. One thread.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "ecseq/core/rng.hpp"
#include "ecseq/kernels/flush_denormals.hpp"
#include "ecseq/nn/transformer_parameters.hpp"

namespace {

using namespace ecseq;

Matrix<float> drawn(Index rows, Index cols, double bound, Rng& rng) {
  Matrix<float> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.uniform(-bound, bound));
  return x;
}

/// Arguments: batch, events per sequence, width, heads, layers, hidden units of the feed-forward
/// net.
struct Problem {
  explicit Problem(const benchmark::State& state)
      : batch(state.range(0)),
        length(state.range(1)),
        width(state.range(2)),
        heads(state.range(3)),
        hidden(state.range(5)) {
    for (Index layer = 0; layer < state.range(4); ++layer) {
      layers.push_back(nn::add_transformer_layer(parameters, "layer" + std::to_string(layer), width,
                                                 hidden, rng));
    }
    events = drawn(batch * length, width, 1.0, rng);
    for (Index i = 0; i <= batch; ++i) offsets.push_back(i * length);
  }
  /// Of the forward pass, every query with every key.
  double flops() const {
    const Index layer = 4 * width * width + 2 * width * hidden + 2 * length * width;
    return 2.0 * static_cast<double>(batch * length * layer * static_cast<Index>(layers.size()));
  }
  Rng rng{1};
  Index batch, length, width, heads, hidden;
  nn::Parameters<float> parameters;
  std::vector<nn::TransformerLayerParameters> layers;
  Matrix<float> events;
  std::vector<Index> offsets;
};

void report_flops(benchmark::State& state, double flops) {
  state.counters["FLOP/s"] =
      benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

void sgemm(benchmark::State& state) {
  const Index n = state.range(0);
  const Matrix<float> a = Matrix<float>::Random(n, n), b = Matrix<float>::Random(n, n);
  Matrix<float> c(n, n);
  for (auto _ : state) {
    c.noalias() = a * b;
    benchmark::DoNotOptimize(c.data());
  }
  report_flops(state, 2.0 * static_cast<double>(n * n * n));
}
BENCHMARK(sgemm)->Arg(1024)->Unit(benchmark::kMillisecond);

void forward(benchmark::State& state, const kernels::TransformerShape& like) {
  const Problem p(state);
  const kernels::FlushDenormals flush;
  kernels::TransformerShape shape = like;
  shape.heads = p.heads;
  std::vector<kernels::TransformerLayerWeights> layers;
  for (const auto& layer : p.layers) layers.emplace_back(layer.matrices(p.parameters), p.heads);
  // Short sequences go together, so that the products have rows enough.
  const Index group = std::max<Index>(1, 48 / p.length);
  const Index stride = layers[0].stride(), rows = group * p.length;
  Eigen::ArrayXf x(rows * stride);
  Eigen::ArrayXf scratch(kernels::transformer_scratch_size(layers[0], shape, rows, p.length));
  Matrix<float> last(p.batch, p.width);
  for (auto _ : state) {
    for (Index first = 0; first < p.batch; first += group) {
      const Index count = std::min(group, p.batch - first);
      for (Index i = 0; i < count * p.length; ++i) {
        std::copy_n(p.events.row(first * p.length + i).data(), p.width, x.data() + i * stride);
      }
      for (const auto& layer : layers) {
        kernels::transformer_layer(layer, shape, p.offsets.data() + first, count, x.data(),
                                   scratch.data());
      }
      for (Index i = 0; i < count; ++i) {
        std::copy_n(x.data() + ((i + 1) * p.length - 1) * stride, p.width,
                    last.row(first + i).data());
      }
    }
    benchmark::DoNotOptimize(last.data());
  }
  report_flops(state, p.flops());
}

/// The sum of all elements, a loss that costs nothing.
struct Sum final : autograd::Operation<float> {
  explicit Sum(autograd::Variable<float> given) : x(given) {}
  void forward(autograd::Values<float> y) override { y(0, 0) = x.value().sum(); }
  void backward(autograd::ConstValues<float>, autograd::ConstValues<float> dy) override {
    x.gradient().array() += dy(0, 0);
  }
  autograd::Variable<float> x;
};

/// Forward and backward pass on the tape, `shard` sequences at a time, as nn::train runs it.
void training(benchmark::State& state, const kernels::TransformerShape& like, Index shard) {
  Problem p(state);
  const kernels::FlushDenormals flush;
  kernels::TransformerShape shape = like;
  shape.heads = p.heads;
  std::vector<float> gradient(p.parameters.flat().size());
  autograd::Tape<float> tape;
  for (auto _ : state) {
    for (Index first = 0; first < p.batch; first += shard) {
      tape.reset();
      const Index count = std::min(shard, p.batch - first);
      autograd::Variable<float> x = tape.constant(
          MatrixView<float>(p.events.row(first * p.length).data(), count * p.length, p.width));
      const nn::BoundParameters<float> bound(tape, p.parameters, gradient);
      const std::span<const Index> offsets(p.offsets.data(), static_cast<std::size_t>(count) + 1);
      for (const auto& layer : p.layers) {
        x = nn::transformer_layer(x, offsets, layer.variables(bound), shape, 0.0, p.rng);
      }
      tape.backward(tape.apply<Sum>(1, 1, true, x));
    }
    benchmark::DoNotOptimize(gradient.data());
  }
  report_flops(state, 3.0 * p.flops());
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->Args({64, 50, 64, 4, 2, 256})->Unit(benchmark::kMicrosecond);
}
BENCHMARK_CAPTURE(forward, relu, {})
    ->Apply(sizes)
    ->Args({64, 50, 64, 4, 2, 2048})
    ->Args({1, 50, 64, 4, 2, 256})
    ->Args({64, 5, 64, 4, 2, 256})
    ->Args({64, 50, 60, 3, 2, 256})
    ->Args({16, 500, 64, 4, 2, 256});
BENCHMARK_CAPTURE(forward, gelu_causal_norm_first, {1, true, true, kernels::Activation::kGelu})
    ->Apply(sizes);
BENCHMARK_CAPTURE(training, relu, {}, 64)->Apply(sizes)->Args({64, 50, 64, 4, 2, 2048});
BENCHMARK_CAPTURE(training, relu_in_shards, {}, 8)->Apply(sizes)->Args({64, 50, 64, 4, 2, 2048});
BENCHMARK_CAPTURE(training, gelu_causal_norm_first, {1, true, true, kernels::Activation::kGelu}, 64)
    ->Apply(sizes);

}  // namespace
