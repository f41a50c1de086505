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

/// The k highest of scores[0 .. padded), highest first, lower index first on ties. k >= 1 and at
/// most the number of real points. padded: whole vectors.
inline void select_top(const float* scores, Index padded, Index k, float* top,
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
