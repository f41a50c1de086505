#pragma once

#include <string>

#include "ecseq/graph/nearest_neighbors.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::graph {

struct KnnGraphOptions {
  std::string weight = "gaussian";  ///< of an edge of length d: "gaussian", exp(-d^2 / (2 s^2))
                                    ///< with s the median distance of a k-th neighbour;
                                    ///< "similarity", 1 / (1 + d); "one"
  NeighborSearch search;            ///< metric, and exact or approximate
};

struct KnnGraph {
  SparseGraph graph;
  double scale = 0.0;   ///< s of the gaussian weight
  double recall = 1.0;  ///< of the search, see NeighborTable
};

/// An edge between i and j where either is among the k nearest of the other. x: [N, h]
KnnGraph knn_graph(MatrixView<float> x, Index k, const KnnGraphOptions& options = {},
                   const ProgressCallback& progress = {});

/// The same from a table of neighbours that is at hand.
KnnGraph knn_graph(const NeighborTable& neighbors, const std::string& weight = "gaussian");

}  // namespace ecseq::graph
