#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq::compress {

/// The row of `vectors` nearest to each row of x by Euclidean distance, the lowest on ties: [n].
/// Distances come from products, |x|^2 - 2 x.c + |c|^2, so both are taken relative to the mean of
/// `vectors` first: far from the origin the digits that matter would be lost.
/// vectors: [K, h]; x: [n, h], finite. The same for any number of threads.
std::vector<std::int64_t> nearest_representative(MatrixView<float> vectors, MatrixView<float> x,
                                                 int num_threads);

}  // namespace ecseq::compress
