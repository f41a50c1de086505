// Similarity graphs and the compressors, 100,000 x 32 in 500 blobs that overlap; exact search
// beside FAISS's IndexFlatL2 as linked here (Debian's is built without AVX). The argument is the
// number of threads.

#include <benchmark/benchmark.h>
#include <faiss/IndexFlat.h>
#include <omp.h>

#include <vector>

#include "ecseq/compress/agc.hpp"
#include "ecseq/compress/baselines.hpp"
#include "ecseq/compress/grain.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/graph/epsilon_graph.hpp"
#include "ecseq/graph/knn_graph.hpp"

namespace {

using namespace ecseq;

constexpr Index kRows = 100'000;
constexpr Index kColumns = 32;
constexpr Index kBlobs = 500;
constexpr Index kNeighbors = 16;
constexpr Index kRepresentatives = 500;

Matrix<float> make_rows(Index n) {
  Rng rng(1);
  Matrix<float> centre(kBlobs, kColumns), x(n, kColumns);
  for (Index i = 0; i < centre.size(); ++i) centre.data()[i] = static_cast<float>(rng.normal());
  for (Index i = 0; i < n; ++i) {
    const Index blob = rng.below(kBlobs);
    for (Index k = 0; k < kColumns; ++k) {
      x(i, k) = centre(blob, k) + static_cast<float>(0.5 * rng.normal());
    }
  }
  return x;
}

const Matrix<float>& rows() {
  static const Matrix<float> x = make_rows(kRows);
  return x;
}

const graph::SparseGraph& graph_of_rows() {
  static const graph::SparseGraph graph = graph::knn_graph(rows(), kNeighbors).graph;
  return graph;
}

const Matrix<float>& labels() {
  static const Matrix<float> zeros = Matrix<float>::Zero(kRows, 1);
  return zeros;
}

void report_products(benchmark::State& state) {
  state.counters["FLOP/s"] = benchmark::Counter(2.0 * kRows * kRows * kColumns,
                                                benchmark::Counter::kIsIterationInvariantRate);
}

void nearest_100k_16(benchmark::State& state) {
  graph::NeighborSearch search;
  search.num_threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(graph::nearest_neighbors(rows(), kNeighbors, search).rows.data());
  }
  report_products(state);
}

/// One neighbour more: FAISS finds each row itself.
void faiss_nearest_100k_17(benchmark::State& state) {
  omp_set_num_threads(static_cast<int>(state.range(0)));
  using Row = decltype(faiss::Index::ntotal);
  faiss::IndexFlatL2 index(kColumns);
  index.add(kRows, rows().data());
  const Row k = kNeighbors + 1;
  std::vector<float> distances(static_cast<std::size_t>(kRows * k));
  std::vector<faiss::Index::idx_t> found(distances.size());
  for (auto _ : state) {
    index.search(kRows, rows().data(), k, distances.data(), found.data());
    benchmark::DoNotOptimize(found.data());
  }
  report_products(state);
}

void knn_graph_1m_16(benchmark::State& state) {
  const Matrix<float> x = make_rows(1'000'000);
  graph::KnnGraphOptions options;
  options.search.num_threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    state.counters["recall"] = graph::knn_graph(x, kNeighbors, options).recall;
  }
}

void epsilon_graph_100k(benchmark::State& state) {
  graph::EpsilonGraphOptions options;
  options.num_threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    state.counters["edges"] =
        static_cast<double>(graph::epsilon_graph(rows(), 2.5, options).n_edges());
  }
}

void agc_100k(benchmark::State& state) {
  compress::AgcOptions options;
  options.n_representatives = kRepresentatives;
  options.power = 5;
  options.num_threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(compress::agc(rows(), labels(), graph_of_rows(), options).power);
  }
}

void grain_100k(benchmark::State& state, const char* diversity) {
  compress::GrainOptions options;
  options.diversity = diversity;
  options.n_representatives = kRepresentatives;
  options.num_threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    const auto result = compress::grain(rows(), labels(), graph_of_rows(), options);
    state.counters["chosen"] = static_cast<double>(result.chosen.size());
  }
}

void k_center_100k(benchmark::State& state) {
  compress::BaselineOptions options;
  options.n_representatives = kRepresentatives;
  options.num_threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(compress::k_center(rows(), labels(), options).report.objective);
  }
}

BENCHMARK(nearest_100k_16)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(faiss_nearest_100k_17)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(epsilon_graph_100k)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(agc_100k)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(grain_100k, ball, "ball")
    ->Arg(1)
    ->Arg(2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(grain_100k, nearest, "nearest")
    ->Arg(1)
    ->Arg(2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(k_center_100k)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(knn_graph_1m_16)->Arg(2)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
