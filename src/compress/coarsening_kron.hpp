#pragma once

#include <vector>

#include "ecseq/compress/coarsening.hpp"

namespace ecseq::compress {

/// The Schur complement and the fill of later levels are dense: 8 nodes^2 bytes each.
inline constexpr Index kMostKronNodes = 8'000;

/// The levels of "kron" (see CoarseningOptions). Throws InvalidArgument beyond kMostKronNodes.
std::vector<CoarseningLevel> kron_levels(const graph::SparseGraph& graph,
                                         const CoarseningOptions& options,
                                         const ProgressCallback& progress);

}  // namespace ecseq::compress
