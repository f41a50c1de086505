#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq::compress {

/// Share of the members that a representative's radius covers: the rest is what a new row lying
/// beyond it is measured against.
inline constexpr double kWithinRadius = 0.99;

/// What a compressor makes of N embeddings: K' vectors that stand for them, none empty and no two
/// equal. K' is K unless fewer do, or a graph's components stand in the way of so few.
struct Representatives {
  Matrix<float> vectors;       ///< [K', h], means of their members
  std::vector<double> mass;    ///< [K'], members
  std::vector<double> spread;  ///< [K'], mean squared distance of the members
  std::vector<double> radius;  ///< [K'], distance within which kWithinRadius of the members lie; of
                               ///< fewer than ten members, the pooled one of all rows
  Matrix<double> label_sums;   ///< [K', channels], sums of the members' label channels
  Matrix<std::int64_t> cases;  ///< [K', m], the members nearest the vector, nearest first, as
                               ///< training rows; -1 where there are fewer than m
  Index size() const { return vectors.rows(); }
  /// The real sequence nearest to representative j: a case one can show.
  std::int64_t medoid(Index j) const { return cases(j, 0); }
};

/// How the compression went.
struct CompressionReport {
  int iterations = 0;
  double objective = 0.0;  ///< sum of squared distances over ALL points
  Index points_used = 0;   ///< points the centroids were trained on
  Index requested = 0;     ///< K asked for
  double seconds = 0.0;
  std::string note;  ///< why there are not K representatives, where a compressor has to say so
};

struct Compression {
  Representatives representatives;
  std::vector<std::int64_t> assignment;  ///< [N], representative of each row
  CompressionReport report;
};

/// Fills everything but `vectors` from an assignment. x: [N, h]; labels: [N, channels].
void describe(Representatives& representatives, MatrixView<float> x, MatrixView<float> labels,
              const std::vector<std::int64_t>& assignment, Index n_cases);

/// Number of distinct rows of x, counted up to `enough`.
Index count_distinct_rows(MatrixView<float> x, Index enough);

}  // namespace ecseq::compress
