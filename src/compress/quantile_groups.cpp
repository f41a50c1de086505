#include "ecseq/compress/quantile_groups.hpp"

#include <algorithm>
#include <numeric>

#include "ecseq/core/require.hpp"

namespace ecseq::compress {

std::vector<int> quantile_groups(std::span<const float> values, int bins) {
  require_at_least("bins", bins, 1);
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  const auto used = std::min(static_cast<std::size_t>(bins), order.size());
  std::vector<int> out(values.size());
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    out[order[rank]] = static_cast<int>(rank * used / order.size());
  }
  return out;
}

}  // namespace ecseq::compress
