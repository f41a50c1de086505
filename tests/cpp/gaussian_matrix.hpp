#pragma once

#include <cstdint>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/rng.hpp"

namespace ecseq::testing {

/// offset + scale times standard normal numbers, [rows, cols].
inline Matrix<float> gaussian(Index rows, Index cols, std::uint64_t seed, double scale = 1.0,
                              double offset = 0.0) {
  Rng rng(seed);
  Matrix<float> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) {
    x.data()[i] = static_cast<float>(offset + scale * rng.normal());
  }
  return x;
}

}  // namespace ecseq::testing
