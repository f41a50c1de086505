#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/compress/representatives.hpp"

namespace ecseq::compress {

/// Sum of the squared distances of all members.
double objective(const Representatives& representatives);

/// Throws InvalidArgument unless x is finite, labels has a row for each of x, and x has at least
/// k >= 1 distinct rows.
void require_compressible(MatrixView<float> x, MatrixView<float> labels, Index k);

/// Real rows as representatives: every row goes to the nearest chosen one, the first on ties.
/// chosen: [K], rows of x of different values. Fills all but report.iterations and seconds.
Compression represent_by_rows(MatrixView<float> x, MatrixView<float> labels,
                              const std::vector<Index>& chosen, Index n_cases, int threads);

}  // namespace ecseq::compress
