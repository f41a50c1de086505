#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coarsening_sets.hpp"
#include "ecseq/graph/laplacian.hpp"

namespace ecseq::compress {

/// Every edge with the cost that the method puts on it, lowest first to be contracted; method:
/// "heavy_edge", "algebraic_jc" or "affinity_gs" (see CoarseningOptions).
void proximity_edges(const graph::Laplacian& laplacian, const std::string& method,
                     std::uint64_t seed, int threads, const ProgressCallback& progress,
                     std::vector<CandidateEdge>& edges);

}  // namespace ecseq::compress
