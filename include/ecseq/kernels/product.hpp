#pragma once

#include "ecseq/core/matrix.hpp"
#include "ecseq/kernels/vec.hpp"

// Products of matrices that need not be contiguous, with what comes before and after the sum in
// the registers of the same tile. Each element is its start plus the terms in the order of the
// depth, one fused multiply-add at a time, in every tile shape: a row's result has the same bits
// whatever the other rows are.

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// Element (row, k) at data[row * row_stride + k * depth_stride].
template <class Scalar>
struct LeftFactor {
  const Scalar* data = nullptr;
  Index row_stride = 0;
  Index depth_stride = 1;
};

/// Row k of one vector of columns, the panel, at data[panel * panel_stride + k * depth_stride].
/// A row-major matrix has panel_stride = lanes, depth_stride = its columns; packed panels the
/// reverse.
template <class Scalar>
struct RightFactor {
  const Scalar* data = nullptr;
  Index depth_stride = 0;
  Index panel_stride = 0;
};

/// A part of a product's result: rows [row, row + rows), vectors of columns [panel, ...).
struct ProductRange {
  Index row = 0, rows = 0;
  Index panel = 0, panels = 0;
};

namespace detail {

/// Most panels and, by panels, rows of a register tile: sums, a row of panels and a broadcast fit
/// the registers, and the sums are enough to hide a multiply-add's latency.
inline constexpr int kProductPanels = kRegisters == 32 ? 4 : 2;
template <int Panels>
inline constexpr int kProductRows = Panels == kProductPanels ? 6 : 8;

template <class Scalar, int Rows, int Panels, class Start, class Finish>
ECSEQ_INLINE void product_tile(const LeftFactor<Scalar>& left, const RightFactor<Scalar>& right,
                               Index depth, Index row, Index panel, const Start& start,
                               const Finish& finish) {
  using V = Vec<Scalar>;
  V sum[Rows][Panels];
#pragma GCC unroll 8
  for (int n = 0; n < Rows; ++n) {
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) sum[n][p] = start(row + n, panel + p);
  }
  const Scalar* x = left.data + row * left.row_stride;
  const Scalar* w = right.data + panel * right.panel_stride;
  for (Index k = 0; k < depth; ++k, x += left.depth_stride, w += right.depth_stride) {
    V column[Panels];
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) column[p] = load(w + p * right.panel_stride);
#pragma GCC unroll 8
    for (int n = 0; n < Rows; ++n) {
      const V value = broadcast(x[n * left.row_stride]);
#pragma GCC unroll 4
      for (int p = 0; p < Panels; ++p) sum[n][p] = fma(column[p], value, sum[n][p]);
    }
  }
#pragma GCC unroll 8
  for (int n = 0; n < Rows; ++n) {
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) finish(row + n, panel + p, sum[n][p]);
  }
}

template <class Scalar, int Rows, int Panels, class Start, class Finish>
ECSEQ_INLINE void product_rows(const LeftFactor<Scalar>& left, const RightFactor<Scalar>& right,
                               Index depth, Index row, Index rows, Index panel, const Start& start,
                               const Finish& finish) {
  if constexpr (Rows == 1) {
    product_tile<Scalar, 1, Panels>(left, right, depth, row, panel, start, finish);
  } else if (rows == Rows) {
    product_tile<Scalar, Rows, Panels>(left, right, depth, row, panel, start, finish);
  } else {
    product_rows<Scalar, Rows - 1, Panels>(left, right, depth, row, rows, panel, start, finish);
  }
}

template <class Scalar, int Panels, class Start, class Finish>
void product_panels(const LeftFactor<Scalar>& left, const RightFactor<Scalar>& right, Index depth,
                    const ProductRange& range, Index panel, const Start& start,
                    const Finish& finish) {
  constexpr int kRows = kProductRows<Panels>;
  // Heights as even as can be: 50 rows as 5 and 6 at a time, never 6 and then 2.
  const Index groups = (range.rows + kRows - 1) / kRows;
  for (Index group = 0; group < groups; ++group) {
    const Index row = group * range.rows / groups, end = (group + 1) * range.rows / groups;
    product_rows<Scalar, kRows, Panels>(left, right, depth, range.row + row, end - row, panel,
                                        start, finish);
  }
}

}  // namespace detail

/// For each row and panel of `range`: finish(row, panel, start(row, panel) + sum over k < depth of
/// left(row, k) right(k, panel)).  start: (row, panel) -> Vec; finish: (row, panel, Vec)
template <class Scalar, class Start, class Finish>
void product(const LeftFactor<Scalar>& left, const RightFactor<Scalar>& right, Index depth,
             const ProductRange& range, const Start& start, const Finish& finish) {
  Index panel = range.panel;
  const Index end = range.panel + range.panels;
  const auto run = [&]<int Panels>() {
    for (; panel + Panels <= end; panel += Panels) {
      detail::product_panels<Scalar, Panels>(left, right, depth, range, panel, start, finish);
    }
  };
  if constexpr (detail::kProductPanels == 4) run.template operator()<4>();
  run.template operator()<2>();
  run.template operator()<1>();
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
