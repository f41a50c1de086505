#pragma once

#include <algorithm>
#include <cmath>

#include "ecseq/kernels/product.hpp"
#include "ecseq/kernels/softmax.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// The transpose of a matrix in panels, [rows / lanes][cols][lanes], zeros where the last panel has
/// no row: X X' then is a product.  x: [rows, stride], of which `cols` columns count;
/// out: [round_up(rows) cols]
template <class Scalar>
void pack_transpose(const Scalar* x, Index stride, Index rows, Index cols, Scalar* out) {
  constexpr Index kWidth = kLanes<Scalar>;
  for (Index first = 0; first < rows; first += kWidth, out += cols * kWidth) {
    const Index count = std::min(kWidth, rows - first);
    if (count < kWidth) std::fill_n(out, cols * kWidth, Scalar(0));
    for (Index i = 0; i < count; ++i) {
      const Scalar* row = x + (first + i) * stride;
      for (Index j = 0; j < cols; ++j) out[j * kWidth + i] = row[j];
    }
  }
}
/// What `pack_transpose` wrote, as a product reads it.
template <class Scalar>
RightFactor<Scalar> transposed(const Scalar* packed, Index cols) {
  return {packed, kLanes<Scalar>, cols * kLanes<Scalar>};
}

/// One head of one sequence that attends to itself. q, k, v: its columns of [length, stride], where
/// whole vectors may be read from each row of v.
struct SelfAttentionHead {
  const float* q = nullptr;
  const float* k = nullptr;
  const float* v = nullptr;
  Index stride = 0;
  Index length = 0;
  Index size = 0;       ///< columns of each
  bool causal = false;  ///< a query sees the keys up to its own position
};

namespace detail {
/// Queries whose weights are in the cache at a time; fewer where each block then has fewer keys.
inline constexpr Index kQueryBlock = 48, kCausalQueryBlock = 24;
}  // namespace detail

/// Scalars `attend` needs as scratch.
inline Index attention_scratch_size(Index length, Index size) {
  return round_up<float>(length) * (size + detail::kQueryBlock) + detail::kQueryBlock;
}

/// y = softmax(Q K' / sqrt(size)) V (Vaswani et al. 2017, 3.2.1), of whose rows whole vectors are
/// written: heads from left to right leave their columns right.  y: [length, y_stride]
inline void attend(const SelfAttentionHead& head, float* y, Index y_stride, float* scratch) {
  constexpr Index kWidth = kLanes<float>;
  const Index length = head.length, size = head.size;
  float* const keys = scratch;
  float* const weights = keys + round_up<float>(length) * size;
  float* const inverse = weights + detail::kQueryBlock * round_up<float>(length);
  pack_transpose(head.k, head.stride, length, size, keys);
  const float scale = 1.0f / std::sqrt(static_cast<float>(size));
  const Index most = head.causal ? detail::kCausalQueryBlock : detail::kQueryBlock;
  const Index blocks = (length + most - 1) / most;
  for (Index block = 0; block < blocks; ++block) {
    const Index first = block * length / blocks, end = (block + 1) * length / blocks;
    const Index rows = end - first, visible = head.causal ? end : length;
    const Index width = round_up<float>(visible);
    const auto at = [&](Index row, Index panel) { return weights + row * width + panel * kWidth; };
    const auto zero = [](Index, Index) ECSEQ_LAMBDA_INLINE { return Vec<float>{}; };
    product<float>({head.q + first * head.stride, head.stride}, transposed(keys, size), size,
                   {0, rows, 0, width / kWidth}, zero,
                   [&](Index row, Index panel, Vec<float> sum)
                       ECSEQ_LAMBDA_INLINE { store(at(row, panel), sum); });
    for (Index row = 0; row < rows; ++row) {
      const Index count = head.causal ? first + row + 1 : length;
      float* const w = weights + row * width;
      inverse[row] = 1.0f / exponentials(w, count, largest_of(w, count), scale);
      std::fill(w + round_up<float>(count), w + width, 0.0f);
    }
    product<float>({weights, width}, {head.v, head.stride, kWidth}, visible,
                   {0, rows, 0, round_up<float>(size) / kWidth}, zero,
                   [&](Index row, Index panel, Vec<float> sum) ECSEQ_LAMBDA_INLINE {
                     store(y + (first + row) * y_stride + panel * kWidth,
                           sum * broadcast(inverse[row]));
                   });
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
