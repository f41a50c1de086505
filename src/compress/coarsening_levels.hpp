#pragma once

#include <functional>
#include <vector>

#include "ecseq/compress/coarsening.hpp"

namespace ecseq::compress {

/// Called with each level in turn: parent and sigma as in CoarseningLevel; the graph is there until
/// the next level is made.
using LevelVisitor =
    std::function<void(std::vector<Index> parent, const graph::SparseGraph& graph, double sigma)>;

/// The levels of `coarsening_levels` one after another, of whose graphs two at a time are kept.
void visit_levels(const graph::SparseGraph& graph, const CoarseningOptions& options,
                  const LevelVisitor& visit, const ProgressCallback& progress);

}  // namespace ecseq::compress
