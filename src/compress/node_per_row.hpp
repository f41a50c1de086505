#pragma once

#include "ecseq/core/matrix.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::compress {

/// Throws InvalidArgument unless the graph has a node for each row of x.
void require_node_per_row(const graph::SparseGraph& graph, MatrixView<float> x);

}  // namespace ecseq::compress
