#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/compress/kmeans.hpp"
#include "ecseq/compress/representatives.hpp"
#include "ecseq/core/progress.hpp"

namespace ecseq::compress {

// What every comparison of compressors carries along. The representatives are real rows of x, and
// each row goes to the nearest of them. x: [N, h], finite; labels: [N, channels]. Throw
// InvalidArgument if K is below 1 or above the number of distinct rows.

struct BaselineOptions {
  Index n_representatives = 500;  ///< K
  Index n_cases = 5;              ///< typical members kept per representative
  std::uint64_t seed = 0;
  int num_threads = 0;  ///< the result does not depend on it
};

/// K rows of different values, drawn at random.
Compression random_rows(MatrixView<float> x, MatrixView<float> labels,
                        const BaselineOptions& options, const ProgressCallback& progress = {});

/// Rows drawn at random within each group (class, or quantile bin of a regression target). A value
/// that several groups share counts for one of them. group: [N], 0 .. G-1; counts: [G], K per
/// group, or empty for equal parts of options.n_representatives.
Compression stratified_random_rows(MatrixView<float> x, MatrixView<float> labels,
                                   const std::vector<int>& group, std::vector<Index> counts,
                                   const BaselineOptions& options,
                                   const ProgressCallback& progress = {});

/// Farthest first (Gonzalez, 1985): the row nearest the mean, then always the row farthest from
/// those chosen, the lower row on ties; no row is more than twice as far from its representative
/// as the best choice would have it. Time O(N K h); uses no random numbers.
Compression k_center(MatrixView<float> x, MatrixView<float> labels, const BaselineOptions& options,
                     const ProgressCallback& progress = {});

/// k-means with each centroid replaced by the row nearest to it, so that a representative is a case
/// one can show.
Compression medoids(MatrixView<float> x, MatrixView<float> labels, const KMeansOptions& options,
                    const ProgressCallback& progress = {});

}  // namespace ecseq::compress
