#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/paged_array.hpp"
#include "ecseq/kernels/dense.hpp"
#include "eight_bit_scores.hpp"

namespace ecseq::compress {

/// Nearest centroid of every row, again and again while the centroids move: Yinyang k-means (Ding
/// et al., ICML 2015, Sec. 3) with the panels of the register tiles as its groups of centroids. For
/// each row and panel a lower bound of the distance to the panel's centroids, other than the row's
/// own, is kept; it falls by the panel's largest drift, and while it exceeds the distance to the
/// row's own centroid the panel's products need not be computed. Where many rows are in doubt,
/// 8-bit products raise their bounds in a fifth of the time, if the processor has them; then the
/// first assignment, too, is a guess by 8-bit scores and what they leave in doubt. Else the first
/// bounds are the triangle inequality's, from the distances between centroids (Elkan, ICML
/// 2003, Lemma 1).
///
/// Exact: the bounds allow for rounding, so the labels are those of kernels::assign_nearest, the
/// lowest number on ties, whatever was assigned before and for every thread count.
class BoundedAssignment {
 public:
  explicit BoundedAssignment(int threads, bool eight_bit = has_eight_bit_products())
      : threads_(threads), may_use_eight_bit_(eight_bit) {}

  /// Whether the bounds, 4 N K / lanes bytes, fit into 512 MB, and there are panels to skip.
  static bool worthwhile(Index rows, Index k);

  /// labels[i] = nearest centroid of row i; distances[i] = its squared distance, by differences.
  /// x: [N, h]; between two calls with the same x.data it must not change; labels, distances: [N].
  void assign(MatrixView<float> centroids, MatrixView<float> x, std::int64_t* labels,
              float* distances);

  /// Share of the pairs of rows and panels whose products the last call computed in floats.
  double computed_share() const;

 private:
  class Chunk;

  float* bounds() { return bounds_.data(); }
  void assign_first(MatrixView<float> centroids, MatrixView<float> x, std::int64_t* labels,
                    float* distances);
  void assign_by_guesses(MatrixView<float> centroids, std::int64_t* labels, float* distances);
  bool uses_eight_bit() const { return !rows_in_eight_bit_.empty(); }
  /// Groups the centroids into panels anew; what is known of rows but their own centroid is void.
  void start(MatrixView<float> centroids);
  void forget_bounds();
  void bound_by_distances_to_panels();
  Matrix<float> distances_to_panels() const;
  void move(MatrixView<float> centroids);
  void place(Matrix<float> centroids);
  template <class Norm>
  Norm slack(Norm norm) const;

  int threads_;
  bool may_use_eight_bit_;
  MatrixView<float> x_{};
  bool is_first_ = true;            ///< own_ holds numbers of centroids, not yet places
  std::vector<Index> order_;        ///< [K] number of the centroid at each place of the panels
  Matrix<float> centroids_;         ///< [K, h] in that order
  kernels::PackedDense points_;     ///< the same, packed
  Index panels_ = 0;                ///< that hold a centroid
  std::vector<double> drift_;       ///< [panels] sum over the calls of the largest drift
  std::vector<float> drift_above_;  ///< the same, rounded up
  float rounding_ = 0.0F;           ///< of a squared distance, for each |x|^2 + max |c|^2
  float largest_norm_ = 0.0F;       ///< max |c|^2
  std::vector<float> norms_;        ///< [N] |x|^2
  std::vector<std::int32_t> own_;   ///< [N] place of the row's centroid; -1 = none yet
  /// [chunks, panels, rows of a chunk] bound + drift_ at its time. All of it is read each time, and
  /// in small pages each of them would have to be looked up.
  PagedArray<float> bounds_;
  EightBitRows rows_in_eight_bit_;      ///< x, or nothing
  EightBitPanels panels_in_eight_bit_;  ///< centroids_
  std::vector<Index> computed_;         ///< [chunks] pairs of the last call
};

}  // namespace ecseq::compress
