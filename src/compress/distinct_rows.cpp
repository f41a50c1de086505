#include "distinct_rows.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>

#include "ecseq/compress/representatives.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/require.hpp"

namespace ecseq::compress {
namespace {

/// The same for -0 and +0.
std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value + 0.0F); }

}  // namespace

std::size_t DistinctRows::Hash::operator()(Index row) const {
  std::uint64_t hash = 0;
  for (Index k = 0; k < x.cols; ++k) {
    // Multiplied by 2^64 over the golden ratio, which spreads the low bits only upwards: the
    // rotation brings the high ones back.
    hash = (std::rotl(hash, 29) ^ bits_of(x(row, k))) * 0x9E3779B97F4A7C15U;
  }
  return static_cast<std::size_t>(hash);
}

bool DistinctRows::Equal::operator()(Index a, Index b) const {
  return std::equal(x.row(a), x.row(a) + x.cols, x.row(b),
                    [](float left, float right) { return bits_of(left) == bits_of(right); });
}

void require_distinct_rows(MatrixView<float> x, Index k) {
  require_at_least("n_representatives", k, 1);
  const Index distinct = count_distinct_rows(x, k);
  if (distinct < k) {
    throw InvalidArgument("n_representatives: " + std::to_string(k) +
                          " asked for, but X has only " + std::to_string(distinct) +
                          " distinct rows");
  }
}

}  // namespace ecseq::compress
