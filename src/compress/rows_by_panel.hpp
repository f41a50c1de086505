#pragma once

#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq::compress {

/// The rows in an order in which those with near centroids in common follow one another: what is
/// computed for many rows at once then needs the same few centroids, and is needed for all of these
/// rows or for none. By panel of centroids (centroid_panels.hpp), that of the nearest mean; by
/// nearest centroid of the panel; by number. Takes O(N h (K / lanes + lanes)).
/// x: [N, h]; centroids: [K, h]; returns a permutation of 0 .. N-1, for every thread count the
/// same.
std::vector<Index> rows_by_panel(MatrixView<float> x, MatrixView<float> centroids, int threads);

}  // namespace ecseq::compress
