#pragma once

// The nearest of many points for a single row, which is as fast as the points come from the caches:
// so their numbers are first read with 16 bits each, and then, of the few points that may be among
// the nearest, all 32. The result has the bits of nearest.hpp.

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "ecseq/core/multiply_add.hpp"
#include "ecseq/kernels/nearest.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

namespace detail {

/// The number rounded to its upper 16 bits (bfloat16), to even.
inline std::uint32_t rounded_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return (bits + 0x7fffU + (bits >> 16 & 1U)) & 0xffff0000U;
}

}  // namespace detail

/// The points of a PackedDense in 16 bits. Two numbers of a point in one, the first in the lower
/// half: panels[p][k / 2][lane].
class CoarsePoints {
 public:
  CoarsePoints() = default;
  /// points: [n, d]; packed: pack_points of them.
  CoarsePoints(MatrixView<float> points, const PackedDense& packed) : panels_(packed.panels()) {
    const Index d = points.cols;
    pairs_ = (d + 1) / 2;
    weight_.assign(static_cast<std::size_t>(panels_ * pairs_ * kLanes<float>), 0);
    for (Index j = 0; j < points.rows; ++j) {
      double error = 0, norm = 0;
      for (Index k = 0; k < d; ++k) {
        const float x = points(j, k);
        const std::uint32_t rounded = detail::rounded_bits(x);
        at(k / 2, j) |= k % 2 == 0 ? rounded >> 16 : rounded;
        const double difference = static_cast<double>(x) - std::bit_cast<float>(rounded);
        error += difference * difference;
        norm += static_cast<double>(x) * x;
      }
      error_ = std::max(error_, std::sqrt(error));
      norm_ = std::max(norm_, std::sqrt(norm));
    }
    // Both scores are sums of d + 1 terms, |c|^2 / 2 among them, each rounded a few times.
    rounding_ = static_cast<double>(2 * (d + 2)) * std::numeric_limits<float>::epsilon();
    // Infinite where a number is finite only with all its bits.
    if (!(error_ < std::numeric_limits<float>::max())) panels_ = 0;
  }

  /// Also where the points hold numbers too large to be rounded.
  bool empty() const { return panels_ == 0; }
  Index pairs() const { return pairs_; }
  const std::uint32_t* panel(Index p) const { return weight_.data() + p * pairs_ * kLanes<float>; }
  /// How far the coarse score of a row of this norm may be from the score, for any point.
  float error(float norm) const {
    const double x = norm;
    return static_cast<float>(x * error_ + rounding_ * (x + norm_) * norm_);
  }

 private:
  std::uint32_t& at(Index pair, Index j) {
    const Index lanes = kLanes<float>;
    return weight_[static_cast<std::size_t>(((j / lanes) * pairs_ + pair) * lanes + j % lanes)];
  }

  Index panels_ = 0;
  Index pairs_ = 0;
  double error_ = 0, norm_ = 0;  ///< largest of a point's rounding error; of a point
  double rounding_ = 0;
  std::vector<std::uint32_t, Eigen::aligned_allocator<std::uint32_t>> weight_;
};

/// None where the points fit the first-level cache: there a second look would cost more than it
/// saves.
inline CoarsePoints coarse_points_if_many(MatrixView<float> points, const PackedDense& packed) {
  constexpr Index kFirstLevelCache = 48 << 10;
  const bool many = packed.padded() * packed.in() * Index{sizeof(float)} > kFirstLevelCache;
  return many ? CoarsePoints(points, packed) : CoarsePoints();
}

/// scores: [points.padded()], padding too. x: [d]
inline void coarse_scores(const CoarsePoints& coarse, const PackedDense& points, const float* x,
                          float* scores) {
  constexpr int kPanels = PackedDense::kTilePanels, kWidth = kLanes<float>;
  const Index d = points.in(), pairs = coarse.pairs(), whole = d / 2;
  for (Index p = 0; p < points.panels(); p += kPanels) {
    Vec<float> acc[kPanels];
#pragma GCC unroll 4
    for (int v = 0; v < kPanels; ++v) acc[v] = load(points.bias(p + v));
    const std::uint32_t* weight = coarse.panel(p);
    const auto both = [&](Index pair, int v) {
      IntVec<float> bits;
      __builtin_memcpy(&bits, weight + (v * pairs + pair) * kWidth, sizeof bits);
      return bits;
    };
    for (Index pair = 0; pair < whole; ++pair) {
      const Vec<float> first = broadcast(x[2 * pair]), second = broadcast(x[2 * pair + 1]);
#pragma GCC unroll 4
      for (int v = 0; v < kPanels; ++v) {
        const IntVec<float> bits = both(pair, v);
        acc[v] = fma((Vec<float>)(bits << 16), first, acc[v]);
        acc[v] = fma((Vec<float>)(bits & ~0xffff), second, acc[v]);
      }
    }
    for (Index pair = whole; pair < pairs; ++pair) {
      for (int v = 0; v < kPanels; ++v) {
        acc[v] = fma((Vec<float>)(both(pair, v) << 16), broadcast(x[2 * pair]), acc[v]);
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < kPanels; ++v) store(scores + (p + v) * kWidth, acc[v]);
  }
}

namespace detail {

/// Replaces the candidates' coarse scores by their own: term by term as dense_tile.
inline void score_candidates(MatrixView<float> points, const PackedDense& packed, const float* x,
                             TopCandidates& candidates) {
  constexpr Index kTogether = 8;
  for (Index first = 0; first < candidates.count; first += kTogether) {
    const float* point[kTogether];
    float sum[kTogether];
    for (Index n = 0; n < kTogether; ++n) {
      const Index place = candidates.places[std::min(first + n, candidates.count - 1)];
      point[n] = points.row(place);
      sum[n] = packed.bias(0)[place];
    }
    for (Index k = 0; k < points.cols; ++k) {
#pragma GCC unroll 8
      for (Index n = 0; n < kTogether; ++n) sum[n] = multiply_add(point[n][k], x[k], sum[n]);
    }
    const Index count = std::min(kTogether, candidates.count - first);
    for (Index n = 0; n < count; ++n) candidates.scores[first + n] = sum[n];
  }
}

}  // namespace detail

/// The k highest scores of x, as select_top of their products. points: [n, d]; packed, coarse: of
/// them; norm: |x|; scores: scratch, [packed.padded()]. 1 <= k <= n.
inline void select_nearest(MatrixView<float> points, const PackedDense& packed,
                           const CoarsePoints& coarse, const float* x, float norm, Index k,
                           float* scores, float* top, std::int64_t* index) {
  if (!coarse.empty() && k <= detail::kMaxima * kLanes<float>) {
    coarse_scores(coarse, packed, x, scores);
    // k coarse scores reach it, so k scores reach it less an error; each of them is, coarsely, at
    // most another one lower.
    const float threshold =
        detail::top_threshold(scores, packed.padded(), k) - 2 * coarse.error(norm);
    detail::TopCandidates candidates;
    // Not below kNoScore, the score of padding, which is no point.
    if (threshold > kNoScore && candidates.take(scores, packed.padded(), threshold)) {
      detail::score_candidates(points, packed, x, candidates);
      return candidates.rank(k, top, index);
    }
  }
  multiply(packed, x, packed.in(), 1, scores);
  select_top(scores, packed.padded(), k, top, index);
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
