// LSTM and GRU forward and one training step beside the machine's limit, a large sgemm of the same
// run: compare the FLOP rates. One thread.

#include <benchmark/benchmark.h>

#include <numeric>
#include <vector>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/kernels/flush_denormals.hpp"
#include "ecseq/nn/gru.hpp"
#include "ecseq/nn/lstm.hpp"
#include "ecseq/nn/training.hpp"

namespace {

using namespace ecseq;

using kernels::GruCell;
using kernels::LstmCell;

/// Arguments: batch, events per sequence, features, hidden size; ragged: lengths from T / 10 to T.
template <class Cell>
struct Problem {
  static constexpr Index kGates = Cell::kGates;
  explicit Problem(const benchmark::State& state, bool ragged = false)
      : batch(state.range(0)), features(state.range(2)), hidden(state.range(3)) {
    Rng rng(1);
    const Index longest = state.range(1);
    for (Index i = 0; i < batch; ++i) {
      const Index shortest = std::max<Index>(1, longest / 10);
      const Index length = ragged ? shortest + rng.below(longest - shortest + 1) : longest;
      starts.push_back(events);
      stops.push_back(events += length);
    }
    values.resize(events, features);
    fill(values, 1.0, rng);
    weight_input.resize(features, kGates * hidden);
    weight_hidden.resize(hidden, kGates * hidden);
    bias.resize(1, 4 * hidden);
    const double bound = 1.0 / std::sqrt(static_cast<double>(hidden));
    for (Matrix<float>* m : {&weight_input, &weight_hidden, &bias}) fill(*m, bound, rng);
  }
  SequencesView view() const { return {values, starts.data(), stops.data(), batch}; }
  double forward_flops() const {
    return 2.0 * static_cast<double>(events * kGates * hidden * (features + hidden));
  }
  /// The weights' gradient costs as much as the forward pass, the state's its hidden part.
  double training_flops() const {
    return 2.0 * static_cast<double>(events * kGates * hidden * (2 * features + 3 * hidden));
  }
  static void fill(Matrix<float>& x, double bound, Rng& rng) {
    for (Index i = 0; i < x.size(); ++i) {
      x.data()[i] = static_cast<float>(rng.uniform(-bound, bound));
    }
  }

  Index batch, features, hidden, events = 0;
  std::vector<std::int64_t> starts, stops;
  Matrix<float> values, weight_input, weight_hidden, bias;
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

/// The last states of `p`, by the inference kernel.
template <class Cell>
void infer(benchmark::State& state, const Problem<Cell>& p) {
  const kernels::FlushDenormals flush;
  Eigen::ArrayXf packed(kernels::packed_recurrent_size<float, Cell::kGates>(p.features, p.hidden));
  const auto weights = kernels::pack_recurrent<float, Cell::kGates>(p.weight_input, p.weight_hidden,
                                                                    p.bias.data(), packed.data());
  Eigen::ArrayXf scratch(kernels::recurrent_scratch_size<Cell, float>(weights));
  std::vector<kernels::EventRun> runs;
  for (Index i = 0; i < p.batch; ++i) runs.push_back({p.view().events(i), p.view().length(i), i});
  std::stable_sort(runs.begin(), runs.end(),
                   [](const auto& a, const auto& b) { return a.length > b.length; });
  Matrix<float> out(p.batch, p.hidden);
  for (auto _ : state) {
    kernels::recurrent_last_state<Cell>(weights, kernels::Standardisation{}, runs.data(), p.batch,
                                        out.data(), p.hidden, scratch.data());
    benchmark::DoNotOptimize(out.data());
  }
  report_flops(state, p.forward_flops());
}

template <class Cell>
void forward(benchmark::State& state, Cell, bool ragged) {
  infer(state, Problem<Cell>(state, ragged));
}

/// States and products near 1e-40: the time of `forward` on usual numbers is the measure.
template <class Cell>
void forward_denormal(benchmark::State& state, Cell) {
  Problem<Cell> p(state);
  p.values *= 1e-19F;
  p.weight_input *= 1e-20F;
  p.weight_hidden *= 1e-20F;
  p.bias.setZero();
  infer(state, p);
}

void inference_sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({1, 50, 32, 32})
      ->Args({1, 50, 64, 64})
      ->Args({64, 50, 32, 32})
      ->Args({1000, 50, 64, 64})
      ->Args({64, 100, 64, 128})
      ->Unit(benchmark::kMicrosecond);
}
BENCHMARK_CAPTURE(forward, lstm_full, LstmCell{}, false)->Apply(inference_sizes);
BENCHMARK_CAPTURE(forward, gru_full, GruCell{}, false)->Apply(inference_sizes);
BENCHMARK_CAPTURE(forward, lstm_ragged, LstmCell{}, true)
    ->Args({512, 50, 32, 64})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(forward, gru_ragged, GruCell{}, true)
    ->Args({512, 50, 32, 64})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(forward_denormal, lstm, LstmCell{})
    ->Args({64, 50, 32, 32})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(forward_denormal, gru, GruCell{})
    ->Args({64, 50, 32, 32})
    ->Unit(benchmark::kMicrosecond);

/// A whole step of nn::train: shards, loss, backward pass, reduction, clipping, Adam.
template <class Cell>
void training_step(benchmark::State& state, Cell, bool ragged) {
  const Problem<Cell> p(state, ragged);
  const SequencesView view = p.view();
  nn::Parameters<float> parameters;
  Rng rng(2);
  const double bound = 1.0 / std::sqrt(static_cast<double>(p.hidden));
  const int wx = parameters.add_uniform("wx", p.features, p.kGates * p.hidden, bound, rng);
  const int wh = parameters.add_uniform("wh", p.hidden, p.kGates * p.hidden, bound, rng);
  const int b = parameters.add("b", 1, 4 * p.hidden);
  const int head = parameters.add_uniform("head", p.hidden, 1, bound, rng);
  const int head_bias = parameters.add("head_bias", 1, 1);
  nn::TrainingOptions options;
  options.batch_size = p.batch;
  options.shard_size = 64;
  options.num_threads = 1;
  options.max_epochs = options.patience = 20;
  std::vector<Index> lengths;
  for (Index i = 0; i < p.batch; ++i) lengths.push_back(view.length(i));
  const auto loss = [&](const nn::BoundParameters<float>& bound_parameters,
                        std::span<const Index> rows, Rng&) {
    const auto& v = bound_parameters;
    auto& tape = v.tape();
    const auto n = static_cast<Index>(rows.size());
    float* targets = tape.scratch(n);
    for (Index i = 0; i < n; ++i) targets[i] = static_cast<float>(rows[std::size_t(i)] % 2);
    const auto last =
        nn::recurrent_last_state<float, Cell>(view, rows, nullptr, nullptr, v[wx], v[wh], v[b]);
    return autograd::binary_cross_entropy(autograd::linear(last, v[head], v[head_bias]),
                                          {targets, n, 1}, nullptr);
  };
  for (auto _ : state) {
    nn::train(parameters, {p.batch, loss, {}, lengths}, options);
  }
  report_flops(state, 20 * p.training_flops());
  state.counters["step"] = benchmark::Counter(
      20, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
void training_sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({64, 50, 32, 32})->Args({512, 50, 32, 64})->Unit(benchmark::kMillisecond);
}
BENCHMARK_CAPTURE(training_step, lstm_full, LstmCell{}, false)->Apply(training_sizes);
BENCHMARK_CAPTURE(training_step, gru_full, GruCell{}, false)->Apply(training_sizes);
BENCHMARK_CAPTURE(training_step, lstm_ragged, LstmCell{}, true)
    ->Args({512, 50, 32, 64})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(training_step, gru_ragged, GruCell{}, true)
    ->Args({512, 50, 32, 64})
    ->Unit(benchmark::kMillisecond);

}  // namespace
