#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/progress.hpp"

namespace ecseq::compress {

/// k rows of different values, each drawn with a chance proportional to its squared distance from
/// the nearest of those before it; x has at least k distinct rows. Time O(N k h).
std::vector<Index> kmeans_plus_plus(MatrixView<float> x, Index k, std::uint64_t seed, int threads,
                                    const ProgressCallback& progress);

}  // namespace ecseq::compress
