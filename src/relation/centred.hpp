#pragma once

#include <numeric>

#include "ecseq/core/matrix.hpp"

namespace ecseq::relation {

/// x less its own mean: what Pearson's correlation takes the cosine of. x, out: [h], may be one.
inline void centre(const float* x, Index h, float* out) {
  const double mean = std::accumulate(x, x + h, 0.0) / static_cast<double>(h);
  for (Index k = 0; k < h; ++k) out[k] = static_cast<float>(x[k] - mean);
}

}  // namespace ecseq::relation
