#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "ecseq/compress/representatives.hpp"

namespace ecseq::compress {

struct CompressionInput;

/// Which rows belong together, from anywhere: what a compressor of the caller's own gives back.
struct Grouping {
  std::vector<std::int64_t> cluster;  ///< [N], from 0; negative for a row that belongs to none
  Matrix<float> vectors;  ///< [clusters, h], what stands for each; empty: the means of the rows
};

/// A compressor of the caller's own; n_representatives is K as asked for, which it may miss.
using GroupingFunction =
    std::function<Grouping(const CompressionInput& input, Index n_representatives)>;

/// Makes representatives of a grouping: clusters without rows are left out, those that are stood
/// for by equal vectors become one, and rows that belong to none go to the nearest.
/// x: [N, h], finite; labels: [N, channels]. Fills all but report.iterations, requested and
/// seconds. Throws InvalidArgument where the grouping does not fit x or holds no row at all.
Compression represent_grouping(MatrixView<float> x, MatrixView<float> labels,
                               const Grouping& grouping, Index n_cases, int num_threads);

}  // namespace ecseq::compress
