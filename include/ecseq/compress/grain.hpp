#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/compress/representatives.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::compress {

/// Grain with the diversity of balls, "ball-D" (Zhang et al., VLDB 2021).
struct GrainOptions {
  Index n_representatives = 500;  ///< K; fewer where fewer nodes cover all
  double radius = 0.05;           ///< of a ball, as a share of the distance scale
  double scale_quantile = 0.99;   ///< distance scale: this quantile of the distances of random
                                  ///< pairs, which no single outlier can stretch; 1 = largest
  Index max_edges = 50'000'000;   ///< most pairs of nodes in one another's ball
  Index n_cases = 5;              ///< typical members kept per representative
  std::uint64_t seed = 0;         ///< the random pairs
  int num_threads = 0;            ///< the result does not depend on it
};

struct GrainResult {
  Compression compression;
  std::vector<Index> chosen;    ///< [K'], nodes in the order of their choice
  std::vector<Index> gains;     ///< [K'], nodes that each covered first
  double distance_scale = 0.0;  ///< by which distances are divided
};

/// Chooses nodes whose influence covers the most: with smooth features X_t = A_hat^2 X (see
/// graph/normalized_adjacency.hpp), ball(u) the nodes within the radius of u in X_t, and cover(v)
/// the union of ball(u) over the u that v influences, those with an entry in row v of A_hat^2.
/// Greedy maximum coverage, exact by lazy evaluation (Leskovec et al., KDD 2007), the lower node on
/// ties, until K nodes are chosen or all are covered: at least 1 - 1/e of the best coverage. A node
/// with the same row of X as a chosen one is passed over. The representatives are the chosen rows
/// of X, and every row goes to the nearest. x: [N, h], finite, one row per node; labels:
/// [N, channels]. Time O(N^2 h) for the balls and, for the coverage, the sizes of the balls around
/// each node's neighbours within two hops: slow where balls are large. Throws InvalidArgument for
/// an option out of range, and where balls hold more than max_edges pairs.
GrainResult grain(MatrixView<float> x, MatrixView<float> labels, const graph::SparseGraph& graph,
                  const GrainOptions& options, const ProgressCallback& progress = {});

}  // namespace ecseq::compress
