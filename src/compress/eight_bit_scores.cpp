#include "eight_bit_scores.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/kernels/nearest.hpp"
#include "ecseq/kernels/partial_vec.hpp"

namespace ecseq::compress {
namespace {

using kernels::IntVec;
using kernels::kLanes;
using kernels::Vec;

constexpr float kMost = 127.0F;
/// Steps below have no inverse.
constexpr float kLeastStep = 1e-30F;

float step_for(float largest) { return std::max(largest / kMost, kLeastStep); }

typedef std::int8_t Bytes __attribute__((vector_size(kLanes<float>)));

struct Rounded {
  float error, norm;  ///< |x - step n| and |step n|, rounded up
};

/// n: [d], and as many behind it as fill a vector. |x| <= 127 step.
Rounded round_to(float step, const float* x, Index d, std::int8_t* n) {
  constexpr Index kWidth = kLanes<float>;
  const Vec<float> inverse = kernels::broadcast(1.0F / step), half = kernels::broadcast(0.5F);
  Vec<float> lost_squares{}, squares{};
  for (Index k = 0; k < d; k += kWidth) {
    const Vec<float> value = kernels::load_first(x + k, std::min(kWidth, d - k));
    const Vec<float> steps = value * inverse;
    const auto whole =
        __builtin_convertvector(steps > 0.0F ? steps + half : steps - half, IntVec<float>);
    const auto bytes = __builtin_convertvector(whole, Bytes);
    std::memcpy(n + k, &bytes, sizeof bytes);
    const Vec<float> rounded = __builtin_convertvector(whole, Vec<float>);
    const Vec<float> lost = kernels::fma(rounded, kernels::broadcast(-step), value);
    lost_squares = kernels::fma(lost, lost, lost_squares);
    squares = kernels::fma(rounded, rounded, squares);
  }
  // Each partial sum may have lost 2^-24.
  const double up = 1.0 + static_cast<double>(d + 8) * 0x1p-23;
  const double error = std::sqrt(static_cast<double>(kernels::sum_of_lanes<float>(lost_squares)));
  const double norm = std::sqrt(static_cast<double>(kernels::sum_of_lanes<float>(squares)));
  return {static_cast<float>(error * up), static_cast<float>(step * norm * up)};
}

/// Whole vectors; four columns at a time are whole then, too.
std::size_t padded(Index d) { return static_cast<std::size_t>(kernels::round_up<float>(d)); }

float largest_of(const float* x, Index d) {
  constexpr Index kWidth = kLanes<float>;
  Vec<float> highest{};
  for (Index k = 0; k < d; k += kWidth) {
    const Vec<float> value = kernels::load_first(x + k, std::min(kWidth, d - k));
    highest = kernels::max(highest, kernels::max(value, -value));
  }
  return kernels::detail::highest_lane(highest);
}

}  // namespace

EightBitRows::EightBitRows(MatrixView<float> x, int threads) : quads_((x.cols + 3) / 4) {
  const Index blocks = (x.rows + kBlock - 1) / kBlock;
  numbers_ = PagedArray<std::uint8_t>(static_cast<std::size_t>(blocks * quads_ * kBlock * 4));
  for (auto* all : {&step_, &error_, &norm_})
    all->assign(static_cast<std::size_t>(blocks * kBlock), 0.0F);
  parallel_chunks(blocks, 64, threads, [&](Index begin, Index end) {
    std::fill_n(numbers_.data() + begin * quads_ * kBlock * 4, (end - begin) * quads_ * kBlock * 4,
                std::uint8_t{128});
    std::vector<std::int8_t> numbers(padded(x.cols));
    for (Index i = begin * kBlock; i < std::min(end * kBlock, x.rows); ++i) {
      round_row(x, i, numbers.data());
    }
  });
}

void EightBitRows::round_row(MatrixView<float> x, Index i, std::int8_t* numbers) {
  const auto at = static_cast<std::size_t>(i);
  step_[at] = step_for(largest_of(x.row(i), x.cols));
  const Rounded rounded = round_to(step_[at], x.row(i), x.cols, numbers);
  error_[at] = rounded.error;
  norm_[at] = rounded.norm;
  std::uint8_t* const out = numbers_.data() + (i / kBlock * quads_ * kBlock + i % kBlock) * 4;
  for (Index q = 0; q < quads_; ++q) {
    std::uint32_t four;
    std::memcpy(&four, numbers + q * 4, 4);
    four ^= 0x80808080U;  // + 128, each
    std::memcpy(out + q * kBlock * 4, &four, 4);
  }
}

EightBitPanels::EightBitPanels(MatrixView<float> centroids) : quads_((centroids.cols + 3) / 4) {
  const Index panels = (centroids.rows + kPanel - 1) / kPanel;
  const auto places = static_cast<std::size_t>(panels * kPanel);
  numbers_.assign(places * static_cast<std::size_t>(quads_), 0);
  start_.assign(places, 0);
  bias_.assign(places, std::numeric_limits<float>::lowest());
  for (auto* all : {&step_, &norm_, &error_}) all->assign(static_cast<std::size_t>(panels), 0.0F);
  for (Index p = 0; p < panels; ++p) round_panel(centroids, p);
}

void EightBitPanels::round_panel(MatrixView<float> centroids, Index p) {
  const Index first = p * kPanel, end = std::min(first + kPanel, centroids.rows);
  const auto panel = static_cast<std::size_t>(p);
  step_[panel] = step_for(largest_of(centroids.row(first), (end - first) * centroids.cols));
  std::vector<std::int8_t> number(padded(centroids.cols));
  for (Index j = first; j < end; ++j) {
    const Rounded rounded = round_to(step_[panel], centroids.row(j), centroids.cols, number.data());
    for (Index q = 0; q < quads_; ++q) {
      std::memcpy(&numbers_[static_cast<std::size_t>((p * quads_ + q) * kPanel + j - first)],
                  number.data() + q * 4, 4);
    }
    const std::int32_t sum = std::accumulate(number.begin(), number.end(), 0);
    const double squared = centroids.eigen().row(j).cast<double>().squaredNorm();
    start_[static_cast<std::size_t>(j)] = -128 * sum;
    bias_[static_cast<std::size_t>(j)] = static_cast<float>(-0.5 * squared);
    norm_[panel] = std::max(norm_[panel], static_cast<float>(std::sqrt(squared) * (1.0 + 1e-6)));
    error_[panel] = std::max(error_[panel], rounded.error);
  }
}

EightBitPanels::Panel EightBitPanels::operator[](Index p) const {
  const auto panel = static_cast<std::size_t>(p);
  return {static_cast<std::int32_t>(p * kPanel),
          numbers_.data() + p * quads_ * kPanel,
          start_.data() + p * kPanel,
          bias_.data() + p * kPanel,
          step_[panel],
          norm_[panel],
          error_[panel]};
}

#if defined(__AVX512F__)

namespace {

static_assert(EightBitRows::kBlock == kLanes<float> && EightBitPanels::kPanel == kLanes<float>);

// The target is that of functions nobody else sees, not of the file: the linker could otherwise
// keep its copy of an inline function for processors that cannot run it.

/// The highest score of kTogether centroids from `first` on for each row of kBlocks blocks, or
/// `highest` where that is higher. x . c = (x - step n) . c + step n . (c - step' n') + step step'
/// n . n', of which the last is computed here.
template <int kBlocks, int kTogether, bool kWithout>
__attribute__((target("avx512vnni"))) ECSEQ_INLINE void score_some(
    const std::uint8_t* const* numbers, Index quads, const EightBitPanels::Panel& panel, int first,
    const Vec<float>* step, const IntVec<float>* without, Vec<float>* highest) {
  constexpr Index kVector = EightBitRows::kBlock * 4;
  IntVec<float> sum[kBlocks][kTogether];
#pragma GCC unroll 8
  for (int j = 0; j < kTogether; ++j) {
#pragma GCC unroll 2
    for (int b = 0; b < kBlocks; ++b) sum[b][j] = panel.start[first + j] - IntVec<float>{};
  }
  for (Index q = 0; q < quads; ++q) {
    __m512i x[kBlocks];
#pragma GCC unroll 2
    for (int b = 0; b < kBlocks; ++b) x[b] = _mm512_loadu_si512(numbers[b] + q * kVector);
#pragma GCC unroll 8
    for (int j = 0; j < kTogether; ++j) {
      const __m512i c = _mm512_set1_epi32(panel.numbers[q * EightBitPanels::kPanel + first + j]);
#pragma GCC unroll 2
      for (int b = 0; b < kBlocks; ++b) {
        sum[b][j] = (IntVec<float>)_mm512_dpbusd_epi32((__m512i)sum[b][j], x[b], c);
      }
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < kTogether; ++j) {
    const Vec<float> bias = kernels::broadcast(panel.bias[first + j]);
#pragma GCC unroll 2
    for (int b = 0; b < kBlocks; ++b) {
      const Vec<float> product = __builtin_convertvector(sum[b][j], Vec<float>);
      const Vec<float> score = kernels::fma(product, step[b], bias);
      const Vec<float> higher = kernels::max(score, highest[b]);
      highest[b] = kWithout && without[b] == first + j ? highest[b] : higher;
    }
  }
}

template <int kBlocks, bool kWithout>
__attribute__((target("avx512vnni"))) ECSEQ_INLINE void score_panel(
    const std::uint8_t* const* numbers, Index quads, const EightBitPanels::Panel& panel,
    const Vec<float>* step, const IntVec<float>* without, Vec<float>* highest) {
  constexpr int kTogether = 8;
#pragma GCC unroll 2
  for (int first = 0; first < EightBitPanels::kPanel; first += kTogether) {
    score_some<kBlocks, kTogether, kWithout>(numbers, quads, panel, first, step, without, highest);
  }
}

template <int kBlocks>
__attribute__((target("avx512vnni"))) void bound_blocks(const EightBitRows& rows, Index first_block,
                                                        const std::int32_t* list,
                                                        const EightBitPanels::Panel& panel,
                                                        const std::int32_t* without,
                                                        float* scores) {
  const std::uint8_t* numbers[kBlocks];
  Vec<float> step[kBlocks], highest[kBlocks];
  IntVec<float> place[kBlocks];
  __mmask16 leaves_out = 0;
  for (int b = 0; b < kBlocks; ++b) {
    const Index block = first_block + list[b];
    numbers[b] = rows.block(block);
    step[b] = kernels::load(rows.step(block)) * panel.step;
    highest[b] = kernels::broadcast(std::numeric_limits<float>::lowest());
    std::memcpy(&place[b], without + list[b] * EightBitRows::kBlock, sizeof(place[b]));
    place[b] -= panel.first;
    leaves_out |=
        _mm512_cmplt_epu32_mask((__m512i)place[b], _mm512_set1_epi32(EightBitPanels::kPanel));
  }
  if (leaves_out != 0) {
    score_panel<kBlocks, true>(numbers, rows.quads(), panel, step, place, highest);
  } else {
    score_panel<kBlocks, false>(numbers, rows.quads(), panel, step, place, highest);
  }
  for (int b = 0; b < kBlocks; ++b) {
    const Index block = first_block + list[b];
    const Vec<float> error = kernels::load(rows.error(block)) * panel.norm +
                             kernels::load(rows.norm(block)) * panel.error;
    kernels::store(scores + list[b] * EightBitRows::kBlock, highest[b] + error);
  }
}

}  // namespace

bool has_eight_bit_products() { return __builtin_cpu_supports("avx512vnni") != 0; }

void bound_scores(const EightBitRows& rows, Index first_row, const std::int32_t* list, Index count,
                  const EightBitPanels::Panel& panel, const std::int32_t* without, float* scores) {
  constexpr Index kPair = 2;
  const Index first_block = first_row / EightBitRows::kBlock;
  Index b = 0;
  for (; b + kPair <= count; b += kPair) {
    bound_blocks<kPair>(rows, first_block, list + b, panel, without, scores);
  }
  if (b < count) bound_blocks<1>(rows, first_block, list + b, panel, without, scores);
}

#else

bool has_eight_bit_products() { return false; }

void bound_scores(const EightBitRows&, Index, const std::int32_t*, Index,
                  const EightBitPanels::Panel&, const std::int32_t*, float*) {
  throw Error("8-bit products need AVX-512");
}

#endif

}  // namespace ecseq::compress
