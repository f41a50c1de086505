#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "ecseq/core/paged_array.hpp"

namespace ecseq::compress {

/// The edge from i to j, i < j.
struct CandidateEdge {
  double cost;
  std::int32_t i;
  std::int32_t j;
};

/// Cheapest first, ties in the order that they are in, in time linear in their number, whatever the
/// number of threads: dealt to buckets of like costs, each of which is then sorted in the
/// processor's cache. scratch: anything, made as long as the edges where it is shorter; breathe:
/// called between.
void sort_edges(std::vector<CandidateEdge>& edges, PagedArray<CandidateEdge>& scratch, int threads,
                const std::function<void()>& breathe);

}  // namespace ecseq::compress
