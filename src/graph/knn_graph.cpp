#include "ecseq/graph/knn_graph.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "ecseq/core/require.hpp"

namespace ecseq::graph {
namespace {

void validate_weight(const std::string& weight) {
  require_one_of("weight", weight, {"gaussian", "similarity", "one"});
}

/// Median distance of the last neighbour of each row; where that is 0, because most rows have k
/// duplicates, the mean; 1 where all rows are equal.
double length_scale(const Matrix<float>& distances) {
  const auto last = distances.col(distances.cols() - 1);
  std::vector<float> sorted(static_cast<std::size_t>(last.size()));
  for (Index i = 0; i < last.size(); ++i) sorted[static_cast<std::size_t>(i)] = last[i];
  std::sort(sorted.begin(), sorted.end());
  const double median = sorted[sorted.size() / 2];
  if (median > 0.0) return median;
  double sum = 0.0;
  for (const float distance : sorted) sum += distance;
  return sum > 0.0 ? sum / static_cast<double>(sorted.size()) : 1.0;
}

float edge_weight(const std::string& weight, double scale, float distance) {
  if (weight == "one") return 1.0F;
  const double d = distance;
  const double value =
      weight == "similarity" ? 1.0 / (1.0 + d) : std::exp(-d * d / (2.0 * scale * scale));
  // An edge stays an edge, however long.
  return std::max(static_cast<float>(value), std::numeric_limits<float>::min());
}

}  // namespace

KnnGraph knn_graph(const NeighborTable& neighbors, const std::string& weight) {
  validate_weight(weight);
  const Index n = neighbors.rows.rows();
  const Index k = neighbors.rows.cols();
  KnnGraph out;
  out.recall = neighbors.recall;
  out.scale = length_scale(neighbors.distances);

  // The rows that name j, increasing, by counting.
  std::vector<Index> first(static_cast<std::size_t>(n) + 1, 0);
  for (Index e = 0; e < neighbors.rows.size(); ++e) {
    ++first[static_cast<std::size_t>(neighbors.rows.data()[e]) + 1];
  }
  for (std::size_t j = 1; j < first.size(); ++j) first[j] += first[j - 1];
  std::vector<std::pair<std::int32_t, float>> named(static_cast<std::size_t>(n * k));
  std::vector<Index> next(first.begin(), first.end() - 1);
  for (Index i = 0; i < n; ++i) {
    for (Index e = 0; e < k; ++e) {
      const auto j = static_cast<std::size_t>(neighbors.rows(i, e));
      named[static_cast<std::size_t>(next[j]++)] = {static_cast<std::int32_t>(i),
                                                    neighbors.distances(i, e)};
    }
  }
  std::vector<std::pair<std::int32_t, float>> both;
  for (Index i = 0; i < n; ++i) {
    both.clear();
    for (Index e = 0; e < k; ++e)
      both.emplace_back(neighbors.rows(i, e), neighbors.distances(i, e));
    for (Index e = first[static_cast<std::size_t>(i)]; e < first[static_cast<std::size_t>(i) + 1];
         ++e) {
      both.push_back(named[static_cast<std::size_t>(e)]);
    }
    std::sort(both.begin(), both.end());
    both.erase(std::unique(both.begin(), both.end()), both.end());
    for (const auto& [j, distance] : both) {
      out.graph.neighbors.push_back(j);
      out.graph.weights.push_back(edge_weight(weight, out.scale, distance));
    }
    out.graph.offsets.push_back(static_cast<Index>(out.graph.neighbors.size()));
  }
  return out;
}

KnnGraph knn_graph(MatrixView<float> x, Index k, const KnnGraphOptions& options,
                   const ProgressCallback& progress) {
  validate_weight(options.weight);
  return knn_graph(nearest_neighbors(x, k, options.search, progress), options.weight);
}

}  // namespace ecseq::graph
