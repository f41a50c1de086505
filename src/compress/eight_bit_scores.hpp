#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/paged_array.hpp"

namespace ecseq::compress {

/// Whether this processor has instructions that multiply 8-bit numbers at four times the rate of
/// floats (AVX-512 VNNI), and this is compiled for AVX-512. Without them nothing here works.
bool has_eight_bit_products();

/// Rows in 8 bits, each in steps of its own: x = step (n + error), n whole, |n| <= 127.
class EightBitRows {
 public:
  /// Rows whose products are computed together.
  static constexpr Index kBlock = 16;
  /// More columns might overflow a sum of products.
  static constexpr Index kMostColumns = 1 << 14;

  EightBitRows() = default;
  /// x: [N, d], finite
  EightBitRows(MatrixView<float> x, int threads);

  bool empty() const { return numbers_.empty(); }
  Index quads() const { return quads_; }
  /// [quads, kBlock, 4] n + 128; numbers behind the last column, and the last row, are 0.
  const std::uint8_t* block(Index b) const { return numbers_.data() + b * quads_ * kBlock * 4; }
  /// [kBlock] |x - step n|, |step n|; behind the last row 0.
  const float* step(Index b) const { return step_.data() + b * kBlock; }
  const float* error(Index b) const { return error_.data() + b * kBlock; }
  const float* norm(Index b) const { return norm_.data() + b * kBlock; }

 private:
  void round_row(MatrixView<float> x, Index i, std::int8_t* numbers);

  Index quads_ = 0;  ///< columns / 4, rounded up
  PagedArray<std::uint8_t> numbers_;
  std::vector<float> step_, error_, norm_;
};

/// Centroids in 8 bits, in panels of kPanel; the centroids of a panel have their steps in common.
class EightBitPanels {
 public:
  static constexpr Index kPanel = 16;

  struct Panel {
    std::int32_t first;           ///< place of its first centroid
    const std::int32_t* numbers;  ///< [quads, kPanel] four numbers in each
    const std::int32_t* start;    ///< [kPanel] undoes the 128 in the numbers of rows
    const float* bias;            ///< [kPanel] -|c|^2 / 2, behind the last centroid lowest
    float step, norm, error;      ///< the latter: the largest of |c| and of |c - step n|
  };

  EightBitPanels() = default;
  /// centroids: [K, d], finite
  explicit EightBitPanels(MatrixView<float> centroids);

  Panel operator[](Index p) const;

 private:
  void round_panel(MatrixView<float> centroids, Index p);

  Index quads_ = 0;
  std::vector<std::int32_t> numbers_, start_;
  std::vector<float> bias_, step_, norm_, error_;
};

/// scores[i] is at least x . c - |c|^2 / 2 for row i of the blocks, counted from first_row, and
/// every centroid of the panel other than that at place without[i], but for what floats lose to
/// rounding: some 1e-6 (|x|^2 + max |c|^2). Only for the rows of the blocks of the list. first_row:
/// of a block; list: [count] numbers of blocks from there on, not negative.
void bound_scores(const EightBitRows& rows, Index first_row, const std::int32_t* list, Index count,
                  const EightBitPanels::Panel& panel, const std::int32_t* without, float* scores);

}  // namespace ecseq::compress
