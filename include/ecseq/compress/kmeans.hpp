#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ecseq/compress/representatives.hpp"
#include "ecseq/core/progress.hpp"

namespace ecseq::compress {

/// Lloyd's k-means: FAISS's Clustering with our fused search as its index.
struct KMeansOptions {
  Index n_representatives = 500;      ///< K; at most the number of distinct rows
  int iterations = 20;                ///< Lloyd steps
  Index max_points_per_centroid = 0;  ///< train on a random sample of at most this many times K
                                      ///< rows; 0 = all rows (FAISS alone samples silently)
  std::string init = "random";  ///< "random" rows, or "kmeans++": each with a chance proportional
                                ///< to its squared distance from those drawn before (Arthur and
                                ///< Vassilvitskii, SODA 2007; all rows, time O(N K h))
  Matrix<float> centroids;      ///< [K, h] to start from instead; empty = by init
  bool spherical = false;       ///< cluster directions: rows and centroids of length 1
  Index n_cases = 5;            ///< typical members kept per representative
  std::uint64_t seed = 0;
  int num_threads = 0;  ///< the result does not depend on it
};

/// x: [N, h], finite; labels: [N, channels] (any number, summed per representative). K' = K: a
/// cluster that comes out empty, as among many duplicates, takes the row farthest from its own
/// centroid. If spherical, vectors, spreads and the objective are those of the rows at length 1.
/// Throws InvalidArgument if K is below 1 or above the number of distinct rows, for an option out
/// of range, and for a row of zeros if spherical. Of many rows it makes a copy, sorted, to work on.
Compression kmeans(MatrixView<float> x, MatrixView<float> labels, const KMeansOptions& options,
                   const ProgressCallback& progress = {});

/// K for each group: equal parts of `total`; a group with fewer distinct rows gives what it cannot
/// use to the others. distinct: [groups].
std::vector<Index> balanced_counts(Index total, const std::vector<Index>& distinct);

/// One k-means per group (class, or quantile bin of a regression target), so that a rare class
/// keeps representatives of its own (ECSeq: 100 positive, 400 negative).
/// group: [N], 0 .. G-1; counts: [G], K per group, or empty for equal parts of
/// options.n_representatives. options.centroids must be empty. Where two groups share a value their
/// representatives may come out equal and are then one, of rows of both; the report's note says so.
Compression balanced_kmeans(MatrixView<float> x, MatrixView<float> labels,
                            const std::vector<int>& group, std::vector<Index> counts,
                            const KMeansOptions& options, const ProgressCallback& progress = {});

}  // namespace ecseq::compress
