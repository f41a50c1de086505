#pragma once

// Nearest points by squared Euclidean distance. With score = x . c - |c|^2 / 2, the nearest c has
// the highest score, and |x - c|^2 = |x|^2 - 2 score; score is a product with a packed matrix, so
// search costs one GEMM that never leaves the registers.

#include <cstdint>
#include <limits>
#include <vector>

#include "ecseq/kernels/dense.hpp"

#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace ecseq::kernels::inline ECSEQ_LEVEL {

inline constexpr float kNoScore = -3.0e38f;

/// One term after the other: the same bits wherever x lies in memory.
inline float squared_norm(const float* x, Index d) {
  float sum = 0.0f;
  for (Index k = 0; k < d; ++k) sum += x[k] * x[k];
  return sum;
}

/// Points to search among. points: [n, d].
inline PackedDense pack_points(MatrixView<float> points) {
  const Matrix<float> transposed = points.eigen().transpose();
  std::vector<float> bias;
  for (Index i = 0; i < points.rows; ++i) {
    bias.push_back(-0.5f * squared_norm(points.row(i), points.cols));
  }
  return PackedDense(transposed, bias.data(), kNoScore);
}

/// labels[i] = nearest point of row i, the lowest number on ties; distances[i] = its squared
/// distance. x: [rows, d].
inline void assign_nearest(const PackedDense& points, const float* x, Index rows,
                           std::int64_t* labels, float* distances) {
  const Index d = points.in();
  const auto tile = [&]<int Rows>(Index first) {
    Vec<float> best[Rows];
    IntVec<float> best_panel[Rows];
    for (int n = 0; n < Rows; ++n) {
      best[n] = broadcast(std::numeric_limits<float>::lowest());
      best_panel[n] = IntVec<float>{};
    }
    for (Index p = 0; p < points.panels(); p += PackedDense::kTilePanels) {
      Vec<float> acc[PackedDense::kTilePanels][Rows];
      dense_tile<Rows>(points, p, x + first * d, d, acc);
#pragma GCC unroll 4
      for (int v = 0; v < PackedDense::kTilePanels; ++v) {
        const IntVec<float> panel = static_cast<std::int32_t>(p + v) - IntVec<float>{};
#pragma GCC unroll 8
        for (int n = 0; n < Rows; ++n) {
          const IntVec<float> better = acc[v][n] > best[n];
          best[n] = better ? acc[v][n] : best[n];
          best_panel[n] = better ? panel : best_panel[n];
        }
      }
    }
    for (int n = 0; n < Rows; ++n) {
      std::int64_t label = std::numeric_limits<std::int64_t>::max();
      float score = std::numeric_limits<float>::lowest();
      for (int lane = 0; lane < kLanes<float>; ++lane) {
        // The analyzer does not follow the lanes of a vector.
        const std::int64_t candidate =  // NOLINTNEXTLINE
            static_cast<std::int64_t>(best_panel[n][lane]) * kLanes<float> + lane;
        if (best[n][lane] > score || (best[n][lane] == score && candidate < label)) {
          score = best[n][lane];
          label = candidate;
        }
      }
      labels[first + n] = label;
      const float squared = squared_norm(x + (first + n) * d, d);
      distances[first + n] = std::max(0.0f, squared - 2.0f * score);
    }
  };
  Index i = 0;
  for (; i + PackedDense::kTileRows <= rows; i += PackedDense::kTileRows) {
    tile.template operator()<PackedDense::kTileRows>(i);
  }
  for (; i < rows; ++i) tile.template operator()<1>(i);
}

/// Bit n is set where a[n] > b[n].
ECSEQ_INLINE unsigned greater_lanes(Vec<float> a, Vec<float> b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
#elif defined(__AVX__)
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ)));
#elif defined(__SSE__)
  return static_cast<unsigned>(_mm_movemask_ps(_mm_cmpgt_ps((__m128)a, (__m128)b)));
#else
  unsigned mask = 0;
  for (int lane = 0; lane < kLanes<float>; ++lane) mask |= unsigned{a[lane] > b[lane]} << lane;
  return mask;
#endif
}

/// visit(row, point, score) for every score that exceeds its row's threshold when its tile is
/// computed: rows [0, rows) against the points of panels [panel, panel + panels), whole tiles of
/// panels. Each row sees its points in increasing order and may raise its threshold in between, so
/// `visit` compares again. x: [rows, d]; threshold: [rows], at least kNoScore.
template <class Visit>
void visit_scores(const PackedDense& points, Index panel, Index panels, const float* x, Index rows,
                  const float* threshold, const Visit& visit) {
  const Index d = points.in();
  const auto tile = [&]<int Rows>(Index first, Index p) {
    Vec<float> acc[PackedDense::kTilePanels][Rows];
    dense_tile<Rows>(points, p, x + first * d, d, acc);
#pragma GCC unroll 8
    for (int n = 0; n < Rows; ++n) {
      const Vec<float> bound = broadcast(threshold[first + n]);
      unsigned any = 0;
#pragma GCC unroll 4
      for (int v = 0; v < PackedDense::kTilePanels; ++v) any |= greater_lanes(acc[v][n], bound);
      if (any == 0) continue;
      for (int v = 0; v < PackedDense::kTilePanels; ++v) {
        alignas(kVectorBytes) float score[kLanes<float>];
        store(score, acc[v][n]);
        for (unsigned lanes = greater_lanes(acc[v][n], bound); lanes != 0; lanes &= lanes - 1) {
          const int lane = __builtin_ctz(lanes);
          visit(first + n, (p + v) * kLanes<float> + lane, score[lane]);
        }
      }
    }
  };
  // All rows against a few points at a time: those stay in the first-level cache.
  for (Index p = panel; p < panel + panels; p += PackedDense::kTilePanels) {
    Index i = 0;
    for (; i + PackedDense::kTileRows <= rows; i += PackedDense::kTileRows) {
      tile.template operator()<PackedDense::kTileRows>(i, p);
    }
    for (; i < rows; ++i) tile.template operator()<1>(i, p);
  }
}

namespace detail {

/// Lanes whose maxima bound the k-th highest score from below, as vectors.
inline constexpr int kMaxima = 16 / kLanes<float> > 1 ? 16 / kLanes<float> : 1;
/// Candidates that are ranked at once; whole vectors.
inline constexpr Index kCandidates = 64;

/// `select_top` by inserting one after the other, for any k.
inline void insert_top(const float* scores, Index padded, Index k, float* top,
                       std::int64_t* index) {
  for (Index j = 0; j < k; ++j) {
    top[j] = std::numeric_limits<float>::lowest();
    index[j] = -1;
  }
  Vec<float> threshold = broadcast(top[k - 1]);
  for (Index p = 0; p < padded; p += kLanes<float>) {
    unsigned lanes = greater_lanes(load(scores + p), threshold);
    if (lanes == 0) continue;
    for (; lanes != 0; lanes &= lanes - 1) {
      const Index i = p + __builtin_ctz(lanes);
      if (!(scores[i] > top[k - 1])) continue;
      Index place = k - 1;
      for (; place > 0 && top[place - 1] < scores[i]; --place) {
        top[place] = top[place - 1];
        index[place] = index[place - 1];
      }
      top[place] = scores[i];
      index[place] = i;
    }
    threshold = broadcast(top[k - 1]);
  }
}

/// The highest lane of v.
ECSEQ_INLINE float highest_lane(Vec<float> v) {
  alignas(kVectorBytes) float lane[kLanes<float>];
  store(lane, v);
#pragma GCC unroll 4
  for (int half = kLanes<float> / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) lane[i] = std::max(lane[i], lane[i + half]);
  }
  return lane[0];
}

/// A number that at least k of the scores reach: the k-th highest of the maxima of some lanes.
/// Without a branch: which lanes those are no processor can guess.
inline float top_threshold(const float* scores, Index padded, Index k) {
  constexpr Index kWidth = kLanes<float>;
  constexpr int kChains = 4 / kMaxima > 1 ? 4 / kMaxima : 1;  // of maxima that wait for each other
  constexpr Index kTogether = kChains * kMaxima * kWidth;
  Vec<float> chains[kChains * kMaxima];
  for (auto& lane : chains) lane = broadcast(std::numeric_limits<float>::lowest());
  Index p = 0;
  for (; p + kTogether <= padded; p += kTogether) {
#pragma GCC unroll 8
    for (int v = 0; v < kChains * kMaxima; ++v) {
      chains[v] = max(chains[v], load(scores + p + v * kWidth));
    }
  }
  for (; p < padded; p += kWidth) chains[0] = max(chains[0], load(scores + p));
  Vec<float> maxima[kMaxima];
#pragma GCC unroll 8
  for (int v = 0; v < kMaxima; ++v) {
    maxima[v] = chains[v];
    for (int c = 1; c < kChains; ++c) maxima[v] = max(maxima[v], chains[c * kMaxima + v]);
  }
  alignas(kVectorBytes) float each[kMaxima * kWidth];
#pragma GCC unroll 8
  for (int v = 0; v < kMaxima; ++v) store(each + v * kWidth, maxima[v]);
  IntVec<float> lanes;
  for (int lane = 0; lane < kWidth; ++lane) lanes[lane] = lane;
  Vec<float> reached = broadcast(std::numeric_limits<float>::lowest());
  for (int v = 0; v < kMaxima; ++v) {
    std::int32_t bits = 0;  // of the lanes that at least k of all reach
#pragma GCC unroll 16
    for (int lane = 0; lane < kWidth; ++lane) {
      const Vec<float> candidate = broadcast(each[v * kWidth + lane]);
      int below = 0;
#pragma GCC unroll 8
      for (int w = 0; w < kMaxima; ++w) {
        below += __builtin_popcount(greater_lanes(candidate, maxima[w]));
      }
      bits |= std::int32_t{kMaxima * kWidth - below >= k} << lane;
    }
    const IntVec<float> is_reached = ((bits - IntVec<float>{}) >> lanes) & 1;
    reached = is_reached != 0 ? max(reached, maxima[v]) : reached;
  }
  return highest_lane(reached);
}

/// Of one vector of scores those that are not below the threshold, one after the other, and where
/// they stand; returns how many. What follows them is written too, up to a whole vector.
ECSEQ_INLINE Index keep_reaching(const float* scores, Vec<float> threshold, std::int32_t first,
                                 float* found, std::int32_t* at) {
  const Vec<float> x = load(scores);
  const unsigned lanes = ~greater_lanes(threshold, x) & ((1U << kLanes<float>)-1);
#if defined(__AVX512F__)
  const __m512i numbers =
      _mm512_add_epi32(_mm512_set1_epi32(first),
                       _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  const auto mask = static_cast<__mmask16>(lanes);
  _mm512_storeu_ps(found, _mm512_maskz_compress_ps(mask, (__m512)x));
  _mm512_storeu_si512(at, _mm512_maskz_compress_epi32(mask, numbers));
#else
  Index count = 0;
  for (unsigned left = lanes; left != 0; left &= left - 1, ++count) {
    const int lane = __builtin_ctz(left);
    found[count] = scores[lane];
    at[count] = first + lane;
  }
#endif
  return __builtin_popcount(lanes);
}

/// Scores that may be among the highest, in the order of their places.
struct TopCandidates {
  Index count = 0;
  // Whole vectors are stored at the end of what was found so far.
  alignas(kVectorBytes) float scores[kCandidates + kLanes<float>];
  std::int32_t places[kCandidates + kLanes<float>];

  /// Takes those of all[0 .. padded) that are not below the threshold. False: they are too many.
  bool take(const float* all, Index padded, float threshold) {
    constexpr Index kWidth = kLanes<float>;
    count = 0;
    for (Index p = 0; p < padded; p += kWidth) {
      if (count > kCandidates - kWidth) return false;
      count += keep_reaching(all + p, broadcast(threshold), static_cast<std::int32_t>(p),
                             scores + count, places + count);
    }
    return true;
  }

  /// The k highest, highest first, the earlier one on ties. k: at most count.
  void rank(Index k, float* top, std::int64_t* index) {
    constexpr Index kWidth = kLanes<float>;
    for (Index i = count; i % kWidth != 0; ++i) scores[i] = std::numeric_limits<float>::lowest();
    float ordered[kCandidates];
    std::int32_t place[kCandidates];
    for (Index i = 0; i < count; ++i) {
      const Vec<float> one = broadcast(scores[i]);
      int before = 0;
      for (Index j = 0; j < count; j += kWidth) {
        const Vec<float> others = load(scores + j);
        const unsigned higher = greater_lanes(others, one);
        const unsigned alike = ~(higher | greater_lanes(one, others));
        const unsigned earlier = i >= j + kWidth ? ~0U
                                 : i <= j        ? 0U
                                                 : (1U << static_cast<unsigned>(i - j)) - 1;
        before += __builtin_popcount((higher | (alike & earlier)) & ((1U << kWidth) - 1));
      }
      ordered[before] = scores[i];
      place[before] = places[i];
    }
    for (Index j = 0; j < k; ++j) {
      top[j] = ordered[j];
      index[j] = place[j];
    }
  }
};

}  // namespace detail

/// The k highest of scores[0 .. padded), highest first, lower index first on ties. k >= 1 and at
/// most the number of real points. padded: whole vectors.
///
/// One comparison after the other would cost a mispredicted branch for each of the k ln(n / k)
/// scores that enter the list; so first a bound that hardly more than k scores reach, then those,
/// and then how many of them are higher than each.
inline void select_top(const float* scores, Index padded, Index k, float* top,
                       std::int64_t* index) {
  detail::TopCandidates candidates;
  if (k > detail::kMaxima * kLanes<float> ||
      !candidates.take(scores, padded, detail::top_threshold(scores, padded, k))) {
    return detail::insert_top(scores, padded, k, top, index);
  }
  candidates.rank(k, top, index);
}

/// The k nearest points of each row, nearest first. x: [rows, d]; index, distances: [rows, k],
/// squared distances. `scratch` grows to [rows, points.padded()].
inline void nearest(const PackedDense& points, const float* x, Index rows, Index k,
                    std::int64_t* index, float* distances, std::vector<float>& scratch) {
  scratch.resize(static_cast<std::size_t>(rows * points.padded()));
  multiply(points, x, points.in(), rows, scratch.data());
  for (Index i = 0; i < rows; ++i) {
    float* top = distances + i * k;
    select_top(scratch.data() + i * points.padded(), points.padded(), k, top, index + i * k);
    const float squared = squared_norm(x + i * points.in(), points.in());
    for (Index j = 0; j < k; ++j) top[j] = std::max(0.0f, squared - 2.0f * top[j]);
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
