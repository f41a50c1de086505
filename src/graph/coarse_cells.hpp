#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/core/progress.hpp"
#include "metric_space.hpp"

namespace ecseq::graph {

/// Rows by the nearest of about 2 sqrt(N) centres, a few Lloyd steps on a sample of them. A row's
/// neighbours are in its own cell and in those nearest to it.
class CoarseCells {
 public:
  CoarseCells(const MetricSpace& space, std::uint64_t seed, int threads,
              const ProgressCallback& progress);

  Index size() const { return centres_.rows(); }
  Index cell_of(Index row) const { return cell_[static_cast<std::size_t>(row)]; }
  /// Rows of cell c, increasing.
  const std::vector<Index>& members(Index c) const { return members_[static_cast<std::size_t>(c)]; }
  /// All cells, by the distance of their centres from that of c; c itself first.
  std::vector<Index> nearest_cells(Index c) const;

 private:
  Matrix<float> centres_;           ///< [cells, h]
  std::vector<std::int64_t> cell_;  ///< [N]
  std::vector<std::vector<Index>> members_;
};

}  // namespace ecseq::graph
