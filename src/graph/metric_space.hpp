#pragma once

#include <string>

#include "ecseq/core/matrix.hpp"
#include "ecseq/kernels/nearest.hpp"

namespace ecseq::graph {

/// Rows prepared for a metric, so that a nearer pair has a higher score in one product: euclidean
/// rows relative to their mean, which keeps the rounding of |a|^2 - 2 a.b small; cosine rows of
/// length 1.
class MetricSpace {
 public:
  /// metric: "euclidean" or "cosine". x: [N, h]
  MetricSpace(MatrixView<float> x, const std::string& metric);

  const Matrix<float>& rows() const { return rows_; }
  /// Rows [begin, end) to search among, numbered from 0.
  kernels::PackedDense pack(Index begin, Index end) const {
    return pack(rows_.middleRows(begin, end - begin));
  }
  kernels::PackedDense pack(const Matrix<float>& rows) const;

  /// From the rows themselves in double: the same bits for (i, j) and (j, i).
  double distance(Index i, Index j) const;
  /// A score that every row within `distance` of row i exceeds, with room for rounding.
  float score_within(Index i, double distance) const;
  /// A score that no row beyond `distance` of row i exceeds.
  float score_surely_within(Index i, double distance) const;

 private:
  struct Score {
    double value = 0.0;
    double rounding = 0.0;  ///< at most
  };
  /// Of a row at that distance from row i.
  Score score_at(Index i, double distance) const;

  bool cosine_;
  Matrix<float> rows_;
  std::vector<double> squared_norms_;  ///< [N]
};

}  // namespace ecseq::graph
