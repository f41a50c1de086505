#include "node_per_row.hpp"

#include <string>

#include "ecseq/core/error.hpp"

namespace ecseq::compress {

void require_node_per_row(const graph::SparseGraph& graph, MatrixView<float> x) {
  if (graph.size() == x.rows) return;
  throw InvalidArgument("graph: expected a node for each of the " + std::to_string(x.rows) +
                        " rows of X, got " + std::to_string(graph.size()));
}

}  // namespace ecseq::compress
