#pragma once

#include <algorithm>
#include <cmath>

namespace ecseq::relation {

/// log(p / (1 - p)), finite for every share.
inline double log_odds(double p) {
  p = std::clamp(p, 1e-5, 1.0 - 1e-5);
  return std::log(p / (1.0 - p));
}

}  // namespace ecseq::relation
