#include "ecseq/graph/normalized_adjacency.hpp"

#include <algorithm>
#include <cmath>

#include "ecseq/core/parallel.hpp"

namespace ecseq::graph {

NormalizedAdjacency::NormalizedAdjacency(const SparseGraph& graph) {
  const Index n = graph.size();
  std::vector<double> inverse_root(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) {
    double degree = 1.0;
    for (const float weight : graph.weights_of(i)) degree += weight;
    inverse_root[static_cast<std::size_t>(i)] = 1.0 / std::sqrt(degree);
  }
  columns_.reserve(graph.neighbors.size() + static_cast<std::size_t>(n));
  values_.reserve(columns_.capacity());
  const auto append = [&](Index i, Index j, double weight) {
    columns_.push_back(static_cast<std::int32_t>(j));
    values_.push_back(static_cast<float>(weight * inverse_root[static_cast<std::size_t>(i)] *
                                         inverse_root[static_cast<std::size_t>(j)]));
  };
  for (Index i = 0; i < n; ++i) {
    const auto neighbors = graph.neighbors_of(i);
    const auto weights = graph.weights_of(i);
    std::size_t e = 0;
    for (; e < neighbors.size() && neighbors[e] < i; ++e) append(i, neighbors[e], weights[e]);
    append(i, i, 1.0);
    for (; e < neighbors.size(); ++e) append(i, neighbors[e], weights[e]);
    offsets_.push_back(static_cast<Index>(columns_.size()));
  }
}

void NormalizedAdjacency::propagate(const Matrix<float>& x, float own, float share, int threads,
                                    Matrix<float>& out) const {
  out.resize(x.rows(), x.cols());
  constexpr Index kChunk = 1024;
  constexpr std::size_t kAhead = 12;
  constexpr Index kLine = 64 / sizeof(float);
  parallel_chunks(size(), kChunk, threads, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      auto row = out.row(i);
      row = own * x.row(i);
      for (Index e = offsets_[static_cast<std::size_t>(i)];
           e < offsets_[static_cast<std::size_t>(i) + 1]; ++e) {
        const auto at = static_cast<std::size_t>(e);
        // Neighbours lie anywhere: their rows are asked for before their turn, across the row's
        // end.
        const float* soon =
            x.data() + columns_[std::min(at + kAhead, columns_.size() - 1)] * x.cols();
        for (Index k = 0; k < x.cols(); k += kLine) __builtin_prefetch(soon + k);
        row += (share * values_[at]) * x.row(columns_[at]);
      }
    }
  });
}

}  // namespace ecseq::graph
