#pragma once

#include <string>

#include "ecseq/core/progress.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::graph {

struct EpsilonGraphOptions {
  std::string metric = "euclidean";  ///< "euclidean", or "cosine": 1 - cosine
  Index max_edges = 50'000'000;      ///< more are refused, at 16 bytes each
  int num_threads = 0;               ///< the result does not depend on it
};

/// An edge of weight 1 between any two rows at most `radius` apart, exactly. x: [N, h], finite.
/// Time O(N^2 h), memory O(N h + edges). Throws InvalidArgument where there are more edges than
/// max_edges, as soon as they are found.
SparseGraph epsilon_graph(MatrixView<float> x, double radius,
                          const EpsilonGraphOptions& options = {},
                          const ProgressCallback& progress = {});

struct CorrelationGraphOptions {
  Index max_edges = 50'000'000;
  int num_threads = 0;
};

/// An edge between any two series with a Pearson correlation of at least `threshold`, which is its
/// weight (ECSeq's traffic setting: parallel series related at the same moment). A series that does
/// not vary has no edges. series: [n, T], finite; 0 < threshold <= 1.
SparseGraph correlation_graph(MatrixView<float> series, double threshold,
                              const CorrelationGraphOptions& options = {},
                              const ProgressCallback& progress = {});

}  // namespace ecseq::graph
