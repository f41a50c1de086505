#pragma once

#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq::compress {

/// The centroids in an order in which each `width` in a row, a panel, lie close together: halves
/// along the direction of the largest variance, and so on; within a panel by number.
/// centroids: [K, h]; returns a permutation of 0 .. K-1.
std::vector<Index> order_in_panels(MatrixView<float> centroids, Index width);

}  // namespace ecseq::compress
