// What comes after the encoder: k-means, attachment, and the whole fit on embeddings; k-means
// beside the machine's limit, a large sgemm of the same run. The argument is the number of threads.

#include <benchmark/benchmark.h>

#include <vector>

#include "ecseq/compress/kmeans.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/pipeline/model.hpp"
#include "ecseq/pipeline/split.hpp"

namespace {

using namespace ecseq;

constexpr Index kRows = 100'000;
constexpr Index kColumns = 32;
constexpr Index kRepresentatives = 500;

struct Data {
  Matrix<float> x{kRows, kColumns};
  Targets y{Task::kBinary, 2, {}};

  Data() {
    Rng rng(1);
    for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.normal());
    for (Index i = 0; i < kRows; ++i) {
      y.values.push_back(x(i, 0) * x(i, 1) + 0.5 * rng.normal() > 1.0 ? 1.0F : 0.0F);
    }
  }
  static const Data& instance() {
    static const Data data;
    return data;
  }
};

void report_flops(benchmark::State& state, double flops) {
  state.counters["FLOP/s"] =
      benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

void sgemm_1024(benchmark::State& state) {
  const Matrix<float> a = Matrix<float>::Random(1024, 1024), b = a;
  Matrix<float> c(1024, 1024);
  for (auto _ : state) {
    c.noalias() = a * b;
    benchmark::DoNotOptimize(c.data());
  }
  report_flops(state, 2.0 * 1024 * 1024 * 1024);
}

void kmeans_100k_32_500(benchmark::State& state) {
  const Data& data = Data::instance();
  const Matrix<float> labels = Matrix<float>::Zero(kRows, 1);
  compress::KMeansOptions options;
  options.n_representatives = kRepresentatives;
  options.num_threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(compress::kmeans(data.x, labels, options).report.objective);
  }
  // 20 steps and the final assignment, a product of [N, d] and [d, K] each.
  report_flops(state, 21 * 2.0 * kRows * kColumns * kRepresentatives);
}

void attach_100k(benchmark::State& state) {
  const Data& data = Data::instance();
  relation::SimilarityOptions options;
  options.n_representatives = kRepresentatives;
  const int threads = static_cast<int>(state.range(0));
  const relation::SimilarityRelation relation(data.x, relation::label_channels(data.y, 0, 1),
                                              Task::kBinary, {}, options, 1, threads, {});
  for (auto _ : state) {
    benchmark::DoNotOptimize(relation.aggregate(relation.attach(data.x, threads), threads).data());
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

void fit_100k(benchmark::State& state) {
  const Data& data = Data::instance();
  const auto split = pipeline::split_at_random(data.y, 0.2, 1);
  const Matrix<float> x = take_rows<float>(data.x, split.training);
  const Matrix<float> x_validation = take_rows<float>(data.x, split.validation);
  const Targets y = data.y.subset(split.training);
  const Targets y_validation = data.y.subset(split.validation);
  pipeline::Samples training, validation;
  training.embedding = x;
  validation.embedding = x_validation;
  pipeline::ModelOptions options;
  options.similarity->n_representatives = kRepresentatives;
  options.training.batch_size = 0;
  options.training.num_threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        pipeline::Model::fit(training, y, validation, y_validation, options).report().size());
  }
}

BENCHMARK(sgemm_1024)->Unit(benchmark::kMillisecond);
BENCHMARK(kmeans_100k_32_500)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(attach_100k)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(fit_100k)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
