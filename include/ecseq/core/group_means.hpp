#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq {

struct GroupMeans {
  Matrix<double> means;        ///< [groups, d]; zeros where a group has no rows
  std::vector<double> counts;  ///< [groups], rows
};

/// The mean of the rows of each group, added up in the order of the rows.
/// x: [n, d]; group: [n], below n_groups; negative for a row of none.
GroupMeans group_means(MatrixView<float> x, const std::vector<std::int64_t>& group, Index n_groups);

}  // namespace ecseq
