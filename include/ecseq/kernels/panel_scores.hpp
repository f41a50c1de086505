#pragma once

// One panel of points against rows picked from anywhere: what is left of a nearest-point search
// where bounds rule most panels out. Scores are those of nearest.hpp, to the last bit.

#include <cstdint>
#include <utility>

#include "ecseq/kernels/nearest.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// Rows per register tile of one panel: whole vectors, enough of them to hide the latency of a sum.
inline constexpr int kPanelRows = kLanes<float> > 8 ? kLanes<float> : 8;

/// What one panel says about kPanelRows rows; [n] is row n.
struct PanelScores {
  Vec<float> scores[kPanelRows];                    ///< lane = point of the panel
  alignas(kVectorBytes) float highest[kPanelRows];  ///< of the row's scores
};

namespace detail {

template <int Step, int... Lane>
ECSEQ_INLINE Vec<float> fold_pair(Vec<float> a, Vec<float> b, std::integer_sequence<int, Lane...>) {
  constexpr int kWidth = kLanes<float>;
  const Vec<float> kept =
      __builtin_shufflevector(a, b, ((Lane & Step) != 0 ? kWidth + Lane : Lane)...);
  const Vec<float> moved = __builtin_shufflevector(
      a, b, ((Lane & Step) != 0 ? kWidth + (Lane ^ Step) : (Lane ^ Step))...);
  return max(kept, moved);
}

/// Lane n = the highest lane of v[n]: pairs of vectors are folded into one until one is left.
template <int Step = 1>
ECSEQ_INLINE Vec<float> highest_lanes(Vec<float>* v) {
  if constexpr (Step < kLanes<float>) {
#pragma GCC unroll 8
    for (int n = 0; n < kLanes<float>; n += 2 * Step) {
      v[n] = fold_pair<Step>(v[n], v[n + Step], std::make_integer_sequence<int, kLanes<float>>());
    }
    return highest_lanes<2 * Step>(v);
  } else {
    return v[0];
  }
}

/// highest[n] = the highest lane of v[n].
ECSEQ_INLINE void highest_of_rows(const Vec<float> (&v)[kPanelRows], float* highest) {
  constexpr int kWidth = kLanes<float>;
#pragma GCC unroll 2
  for (int first = 0; first < kPanelRows; first += kWidth) {
    Vec<float> folded[kWidth];
#pragma GCC unroll 16
    for (int n = 0; n < kWidth; ++n) folded[n] = v[first + n];
    store(highest + first, highest_lanes(folded));
  }
}

/// acc[n] = bias + x[n] . panel for `Rows` rows, few enough that a register is left for each
/// pointer.
template <int Rows>
ECSEQ_INLINE void multiply_panel(const float* weight, Vec<float> bias, Index d,
                                 const float* const* x, Vec<float>* acc) {
  const float* row[Rows];
  Vec<float> sum[Rows];
#pragma GCC unroll 8
  for (int n = 0; n < Rows; ++n) {
    row[n] = x[n];
    sum[n] = bias;
  }
  for (Index k = 0; k < d; ++k) {
    const Vec<float> w = load(weight + k * kLanes<float>);
#pragma GCC unroll 8
    for (int n = 0; n < Rows; ++n) sum[n] = fma(w, broadcast(row[n][k]), sum[n]);
  }
#pragma GCC unroll 8
  for (int n = 0; n < Rows; ++n) acc[n] = sum[n];
}

template <int Rows>
inline void score_panel_rows(const PackedDense& points, Index p, const float* const* x,
                             PanelScores& out) {
  constexpr int kTogether = 8;
  const float* weight = points.panel(p);
  const Vec<float> bias = load(points.bias(p));
  Vec<float> acc[kPanelRows];
#pragma GCC unroll 16
  for (int n = 0; n < kPanelRows; ++n) acc[n] = bias;
#pragma GCC unroll 2
  for (int n = 0; n + kTogether <= Rows; n += kTogether) {
    multiply_panel<kTogether>(weight, bias, points.in(), x + n, acc + n);
  }
  constexpr int kRest = Rows % kTogether;
  if constexpr (kRest > 0) {
    multiply_panel<kRest>(weight, bias, points.in(), x + Rows - kRest, acc + Rows - kRest);
  }
#pragma GCC unroll 16
  for (int n = 0; n < kPanelRows; ++n) out.scores[n] = acc[n];
  highest_of_rows(acc, out.highest);
}

}  // namespace detail

/// Scores of panel p for `rows` rows, 1 to kPanelRows, x[n] each; x holds kPanelRows pointers to
/// readable rows, of which those behind `rows` may be computed in vain.
inline void score_panel(const PackedDense& points, Index p, const float* const* x, int rows,
                        PanelScores& out) {
  if (rows > kPanelRows * 3 / 4) return detail::score_panel_rows<kPanelRows>(points, p, x, out);
  if (rows > kPanelRows / 2) return detail::score_panel_rows<kPanelRows * 3 / 4>(points, p, x, out);
  if (rows > kPanelRows / 4) return detail::score_panel_rows<kPanelRows / 2>(points, p, x, out);
  detail::score_panel_rows<kPanelRows / 4>(points, p, x, out);
}

/// The lowest lane that has the highest score of a row, and the highest score of the other lanes.
struct PanelWinner {
  int lane;
  float second;
};

ECSEQ_INLINE PanelWinner find_winner(const PanelScores& panel, int row) {
  constexpr unsigned kAll = (1U << kLanes<float>)-1;
  const Vec<float> scores = panel.scores[row];
  const unsigned lanes = kAll & ~greater_lanes(broadcast(panel.highest[row]), scores);
  const int lane = lanes == 0 ? 0 : __builtin_ctz(lanes);
  IntVec<float> numbers;
  for (int l = 0; l < kLanes<float>; ++l) numbers[l] = l;
  const Vec<float> others = numbers == lane ? broadcast(kNoScore) : scores;
  return {lane, detail::highest_lane(others)};
}

/// Lane n = p[places[n]].
ECSEQ_INLINE Vec<float> gather(const float* p, const std::int32_t* places) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), 0xFFFF,
                                              _mm512_loadu_si512(places), p, sizeof(float));
#else
  Vec<float> v;
  for (int lane = 0; lane < kLanes<float>; ++lane) v[lane] = p[places[lane]];
  return v;
#endif
}

ECSEQ_INLINE Vec<float> square_root(Vec<float> v) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_maskz_sqrt_ps(0xFFFF, (__m512)v);
#elif defined(__AVX__)
  return (Vec<float>)_mm256_sqrt_ps((__m256)v);
#elif defined(__SSE__)
  return (Vec<float>)_mm_sqrt_ps((__m128)v);
#else
  for (int lane = 0; lane < kLanes<float>; ++lane) v[lane] = std::sqrt(v[lane]);
  return v;
#endif
}

/// Appends first + lane for every lane set in `lanes` to list[count]; a whole vector of places
/// behind them may be overwritten. Returns the new count.
ECSEQ_INLINE int append_lanes(unsigned lanes, std::int32_t first, std::int32_t* list, int count) {
#if defined(__AVX512F__)
  const __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i places = _mm512_add_epi32(numbers, _mm512_set1_epi32(first));
  _mm512_storeu_si512(list + count,
                      _mm512_maskz_compress_epi32(static_cast<__mmask16>(lanes), places));
  return count + __builtin_popcount(lanes);
#else
  for (int lane = 0; lane < kLanes<float>; ++lane) {
    list[count] = first + lane;
    count += static_cast<int>(lanes >> lane & 1U);
  }
  return count;
#endif
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
