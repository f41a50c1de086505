#pragma once

#include <string>
#include <vector>

#include "ecseq/compress/coarsening.hpp"
#include "ecseq/compress/grouping.hpp"
#include "ecseq/compress/kmeans.hpp"
#include "ecseq/compress/representatives.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::compress {

/// What there is to compress.
struct CompressionInput {
  MatrixView<float> x;                        ///< [N, h], finite
  MatrixView<float> labels;                   ///< [N, channels], summed per representative
  std::vector<int> group;                     ///< [N], 0 .. G-1, for methods that balance; or empty
  const graph::SparseGraph* graph = nullptr;  ///< of the N rows, for graph methods; null: they
                                              ///< build one of nearest neighbours
};

/// Any compressor by name, with the options of all of them; a method reads its own.
struct CompressorOptions {
  /// "kmeans", "balanced_kmeans", "agc", "grain", a method of CoarseningOptions, or the baselines
  /// "random", "stratified_random", "k_center", "medoids"; or "custom"
  std::string method = "kmeans";
  GroupingFunction custom;          ///< the caller's own, where method is "custom"
  Index n_representatives = 500;    ///< K
  std::vector<Index> group_counts;  ///< methods that balance: K of each group; empty = equal parts
  int iterations = 20;              ///< k-means: Lloyd steps
  Index max_points_per_centroid = 0;  ///< k-means, see KMeansOptions, as the next three
  std::string init = "random";
  Matrix<float> centroids;
  bool spherical = false;
  Index n_neighbors = 15;          ///< of the graph that is built
  int power = 0;                   ///< agc: smoothing steps; 0 = chosen
  int max_power = 60;              ///< agc
  double radius = 0.05;            ///< grain: of a ball
  std::string diversity = "ball";  ///< grain: see GrainOptions, as the next
  Index max_witnesses = 0;         ///< grain
  Index n_eigenpairs = 10;         ///< coarsening by local variation, see CoarseningOptions,
  double eigen_tolerance = 1e-3;   ///< as the next
  int max_levels = 200;
  Index n_cases = 5;  ///< typical members kept per representative
  std::uint64_t seed = 0;
  int num_threads = 0;  ///< the result does not depend on it
};

/// The names that `compress` knows, beside "custom".
const std::vector<std::string>& compressor_names();

/// Throws InvalidArgument, which lists the known names, unless `method` is one of them or "custom".
void require_compressor(const char* option, const std::string& method);

/// Throws InvalidArgument for an unknown method, and what the methods throw.
Compression compress(const CompressionInput& input, const CompressorOptions& options,
                     const ProgressCallback& progress = {});

}  // namespace ecseq::compress
