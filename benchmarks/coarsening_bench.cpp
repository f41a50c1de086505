// Coarsening random regular graphs of degree 10 to half their nodes, at the sizes for which times
// of Loukas's Python code have been published (seconds: "heavy_edge" 97 and "variation_edges" 104
// at 108,263 nodes; "variation_neighborhoods" 70 and "algebraic_jc" 54 at 57,361), at a million,
// and the first ten eigenpairs. The arguments are the nodes and the threads.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <vector>

#include "ecseq/compress/coarsening.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/graph/eigenpairs.hpp"

namespace {

using namespace ecseq;

constexpr Index kDegree = 10;

/// kDegree / 2 random cycles through all nodes, less the few edges that repeat.
graph::SparseGraph regular_graph(Index n) {
  Rng rng(7);
  std::vector<std::vector<std::int32_t>> rows(static_cast<std::size_t>(n));
  for (Index cycle = 0; cycle < kDegree / 2; ++cycle) {
    const std::vector<Index> order = rng.permutation(n);
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Index a = order[i], b = order[(i + 1) % order.size()];
      rows[static_cast<std::size_t>(a)].push_back(static_cast<std::int32_t>(b));
      rows[static_cast<std::size_t>(b)].push_back(static_cast<std::int32_t>(a));
    }
  }
  graph::SparseGraph out;
  for (auto& row : rows) {
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    out.neighbors.insert(out.neighbors.end(), row.begin(), row.end());
    out.offsets.push_back(static_cast<Index>(out.neighbors.size()));
  }
  out.weights.assign(out.neighbors.size(), 1.0F);
  return out;
}

void coarsen_to_half(benchmark::State& state, const std::string& method) {
  const graph::SparseGraph graph = regular_graph(state.range(0));
  compress::CoarseningOptions options;
  options.method = method;
  options.n_representatives = graph.size() / 2;
  options.num_threads = static_cast<int>(state.range(1));
  std::size_t levels = 0;
  for (auto _ : state) levels = compress::coarsening_levels(graph, options).size();
  state.counters["levels"] = static_cast<double>(levels);
}

void eigenpairs(benchmark::State& state) {
  const graph::SparseGraph graph = regular_graph(state.range(0));
  const graph::Laplacian laplacian(graph);
  graph::EigenpairOptions options;
  options.tolerance = 1e-2;
  options.num_threads = static_cast<int>(state.range(1));
  graph::Eigenpairs pairs;
  for (auto _ : state) pairs = first_eigenpairs(laplacian, options);
  state.counters["iterations"] = pairs.iterations;
  state.counters["residual"] = pairs.residual;
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Unit(benchmark::kMillisecond)->UseRealTime();
  for (const Index n : {57'361, 108'263}) benchmark->Args({n, 1})->Args({n, 2});
  benchmark->Args({1'000'000, 2});
}

BENCHMARK(eigenpairs)->Apply(sizes);
BENCHMARK_CAPTURE(coarsen_to_half, variation_edges, "variation_edges")->Apply(sizes);
BENCHMARK_CAPTURE(coarsen_to_half, variation_neighborhoods, "variation_neighborhoods")
    ->Apply(sizes);
BENCHMARK_CAPTURE(coarsen_to_half, variation_cliques, "variation_cliques")->Apply(sizes);
BENCHMARK_CAPTURE(coarsen_to_half, heavy_edge, "heavy_edge")->Apply(sizes);
BENCHMARK_CAPTURE(coarsen_to_half, algebraic_jc, "algebraic_jc")->Apply(sizes);
BENCHMARK_CAPTURE(coarsen_to_half, affinity_gs, "affinity_gs")->Apply(sizes);

}  // namespace
