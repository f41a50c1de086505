#pragma once

#include <cstdint>
#include <string>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/progress.hpp"

namespace ecseq::graph {

/// How the nearest neighbours of every row are searched.
struct NeighborSearch {
  std::string metric = "euclidean";  ///< "euclidean", or "cosine": 1 - cosine, where a row of zeros
                                     ///< has the cosine 0 to every row
  Index approximate_above = 200'000;  ///< more rows than this are searched approximately
  std::string index = "cells";        ///< approximate: "cells", or "hnsw", that of FAISS
  double recall = 0.95;               ///< approximate: least share of the true neighbours found
  std::uint64_t seed = 0;             ///< approximate: the rows that recall is measured on
  int num_threads = 0;                ///< the result does not depend on it
};

/// The k nearest other rows of every row, nearest first, the lower row first on ties.
struct NeighborTable {
  Matrix<std::int32_t> rows;  ///< [N, k]
  Matrix<float> distances;    ///< [N, k]; the same bits from either end of a pair
  double recall = 1.0;        ///< share of the true neighbours found: 1 if the search was exact,
                              ///< else as measured on a sample of rows
};

/// x: [N, h], finite; 1 <= k < N. Time O(N^2 h), memory O(N (h + k)). Above approximate_above, rows
/// are searched within the cells of a coarse k-means that are nearest to their own: as few cells as
/// give the recall asked for on a sample, whose neighbours are searched exactly. Or FAISS's HNSW is
/// searched, with twice the effort until the recall is reached, or 4096 rows are met for each: the
/// table has the recall there is. HNSW is built on one thread, since its links would differ.
/// Throws InvalidArgument for an option out of range or a value that is not finite.
NeighborTable nearest_neighbors(MatrixView<float> x, Index k, const NeighborSearch& search = {},
                                const ProgressCallback& progress = {});

}  // namespace ecseq::graph
