#pragma once

#include <span>
#include <vector>

namespace ecseq::compress {

/// The quantile bin of each value, 0 .. bins - 1, of equal sizes by rank: what balanced compressors
/// balance a real-valued target by. Equal values count in the order they stand in, so a value more
/// common than a bin is large fills several. Fewer values than bins give one bin each.
std::vector<int> quantile_groups(std::span<const float> values, int bins);

}  // namespace ecseq::compress
