#include "ecseq/core/group_means.hpp"

namespace ecseq {

GroupMeans group_means(MatrixView<float> x, const std::vector<std::int64_t>& group,
                       Index n_groups) {
  GroupMeans out{Matrix<double>::Zero(n_groups, x.cols),
                 std::vector<double>(static_cast<std::size_t>(n_groups), 0.0)};
  for (Index i = 0; i < x.rows; ++i) {
    const auto g = group[static_cast<std::size_t>(i)];
    if (g < 0) continue;
    out.means.row(g) += x.eigen().row(i).cast<double>();
    out.counts[static_cast<std::size_t>(g)] += 1.0;
  }
  for (Index g = 0; g < n_groups; ++g) {
    const double count = out.counts[static_cast<std::size_t>(g)];
    if (count > 0.0) out.means.row(g) /= count;
  }
  return out;
}

}  // namespace ecseq
