#pragma once

#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::graph {

/// The members of each group, by groups (CSR); within a group they increase.
struct Members {
  std::vector<Index> offsets;  ///< [groups + 1]
  std::vector<Index> nodes;    ///< [nodes]
};

/// parent: [nodes], 0 .. n_groups - 1.
Members members_of(const std::vector<Index>& parent, Index n_groups);

/// The graph whose nodes are the groups: the weight between two groups is the sum of the weights
/// between their members; edges within a group vanish. Its Laplacian is C^T L C with the indicator
/// matrix C of the groups (Loukas, JMLR 2019, section 2). members: members_of(parent, n_groups).
/// The same bits for every thread count and every numbering of the nodes.
/// out: another graph than `graph`, whose memory is used again.
void contract(const SparseGraph& graph, const std::vector<Index>& parent, const Members& members,
              int threads, SparseGraph& out);

/// Plain mean of the members' rows, [groups, columns]: Loukas's coarsening operator P x.
Matrix<double> average_rows(const Matrix<double>& x, const Members& members, int threads);

}  // namespace ecseq::graph
