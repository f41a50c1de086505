#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq::compress {

/// Gives every cluster a member, as k-means leaves some empty among many duplicates: an empty
/// cluster's centroid becomes the row farthest from its own centroid in a cluster that keeps
/// another value, and `assign`, which fills assignment and distances from the centroids, runs
/// again; a Lloyd step ends it. x: [N, h] with at least K distinct rows; centroids: [K, h];
/// assignment, distances: [N].
void refill_empty_clusters(MatrixView<float> x, Matrix<float>& centroids,
                           std::vector<std::int64_t>& assignment, std::vector<float>& distances,
                           const std::function<void()>& assign);

}  // namespace ecseq::compress
