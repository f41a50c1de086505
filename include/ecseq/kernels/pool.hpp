#pragma once

#include <algorithm>

#include "ecseq/core/matrix.hpp"
#include "ecseq/kernels/vec.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// out = mean of the rows, summed in their order.  rows: [n, width], n > 0; out: [width]
template <class Scalar>
void mean_of_rows(const Scalar* rows, Index n, Index width, Scalar* out) {
  std::copy_n(rows, width, out);
  for (Index i = 1; i < n; ++i) {
    const Scalar* row = rows + i * width;
    for (Index j = 0; j < width; ++j) out[j] += row[j];
  }
  for (Index j = 0; j < width; ++j) out[j] /= static_cast<Scalar>(n);
}

/// out = elementwise maximum of the rows, which = the first row that has it (unless null).
/// rows: [n, width], n > 0; out, which: [width]. A column that holds a NaN gives NaN.
template <class Scalar>
void max_of_rows(const Scalar* rows, Index n, Index width, Scalar* out, Index* which) {
  std::copy_n(rows, width, out);
  if (which != nullptr) std::fill_n(which, width, Index{0});
  for (Index i = 1; i < n; ++i) {
    const Scalar* row = rows + i * width;
    for (Index j = 0; j < width; ++j) {
      if (row[j] > out[j] || row[j] != row[j]) {
        out[j] = row[j];
        if (which != nullptr) which[j] = i;
      }
    }
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
