#pragma once

// Which scores exceed a threshold, one bit each: a range search that writes no list of pairs.

#include <cstdint>

#include "ecseq/kernels/nearest.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// Sets bit (point % 64) of bits[row * words + point / 64] where the score of the point for the row
/// exceeds above[row], and where it lies in (below[row], above[row]] and doubtful(row, point) says
/// so. Other bits stay as they are. x: [rows, d]; below, above: [rows], at least kNoScore;
/// bits: [rows, words], words >= padded / 64 rounded up.
template <class Doubtful>
void mask_scores(const PackedDense& points, const float* x, Index rows, const float* below,
                 const float* above, std::uint64_t* bits, Index words, const Doubtful& doubtful) {
  static_assert(64 % kLanes<float> == 0);
  const Index d = points.in();
  const auto tile = [&]<int Rows>(Index first, Index p) {
    Vec<float> acc[PackedDense::kTilePanels][Rows];
    dense_tile<Rows>(points, p, x + first * d, d, acc);
#pragma GCC unroll 8
    for (int n = 0; n < Rows; ++n) {
      const Vec<float> low = broadcast(below[first + n]), high = broadcast(above[first + n]);
#pragma GCC unroll 4
      for (int v = 0; v < PackedDense::kTilePanels; ++v) {
        const unsigned near = greater_lanes(acc[v][n], low);
        if (near == 0) continue;
        const Index point = (p + v) * kLanes<float>;
        unsigned within = greater_lanes(acc[v][n], high);
        for (unsigned lanes = near & ~within; lanes != 0; lanes &= lanes - 1) {
          const int lane = __builtin_ctz(lanes);
          if (doubtful(first + n, point + lane)) within |= 1U << lane;
        }
        bits[(first + n) * words + point / 64] |= static_cast<std::uint64_t>(within)
                                                  << (point % 64);
      }
    }
  };
  // All rows against a few points at a time: those stay in the first-level cache.
  for (Index p = 0; p < points.panels(); p += PackedDense::kTilePanels) {
    Index i = 0;
    for (; i + PackedDense::kTileRows <= rows; i += PackedDense::kTileRows) {
      tile.template operator()<PackedDense::kTileRows>(i, p);
    }
    for (; i < rows; ++i) tile.template operator()<1>(i, p);
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
