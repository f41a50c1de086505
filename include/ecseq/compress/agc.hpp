#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/compress/representatives.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::compress {

/// Adaptive graph convolution (Zhang, Liu, Li and Wu, IJCAI 2019).
struct AgcOptions {
  Index n_representatives = 500;  ///< K; fewer where fewer rows of the spectral features differ
  int power = 0;                  ///< p, how often the features are smoothed; 0 = chosen
  int max_power = 60;             ///< where p is chosen
  Index rank = 0;                 ///< m, spectral features to cluster; 0 = as many as X has columns
  int iterations = 20;            ///< Lloyd steps for each p
  Index n_cases = 5;              ///< typical members kept per representative
  std::uint64_t seed = 0;
  int num_threads = 0;  ///< the result does not depend on it
};

struct AgcResult {
  Compression compression;
  int power = 0;                          ///< p
  std::vector<double> cluster_distances;  ///< at p = 1, 2, ...: what the choice was made from
};

/// Clusters F^p X, with F = (I + A_hat) / 2 the low-pass filter of the graph (see
/// graph/normalized_adjacency.hpp), by k-means on its left singular vectors. p is raised until the
/// mean distance within clusters first rises, and the clusters before that are taken:
///   (1 / K) sum over clusters C of the mean of |F^p x_i - F^p x_j|^2 over i != j in C,
/// squared, because the sum over pairs then follows from the clusters' means.
/// The representatives are the means of the clusters' rows of X. x: [N, h], finite, one row per
/// node; labels: [N, channels]. Throws InvalidArgument for an option out of range and a graph that
/// `graph::validate` refuses.
AgcResult agc(MatrixView<float> x, MatrixView<float> labels, const graph::SparseGraph& graph,
              const AgcOptions& options, const ProgressCallback& progress = {});

/// Left singular vectors of x from the eigenvectors of x^T x, largest first: at most `rank` of
/// them and none whose singular value is lost in rounding. x: [N, h]; result: [N, <= min(rank, h)]
Matrix<float> left_singular_vectors(const Matrix<float>& x, Index rank, int threads);

}  // namespace ecseq::compress
