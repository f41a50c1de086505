#pragma once

#include <span>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::compress {

/// The local variation cost of contracting a set S of nodes (Loukas, JMLR 2019, section 4):
///     ||B^T L_S B||_F / (|S| - 1),   B = A_S less its mean row,   L_S = diag(2 d - W_S 1) - W_S
/// with the weighted degrees d in the whole graph and the weights W_S within the set. It is
/// computed as the sum of w_ij (b_i - b_j)(b_i - b_j)^T over the edges within the set plus
/// 2 (d_i - d_i within the set) b_i b_i^T over its nodes, which never forms L_S.
///
/// One object serves one thread: it keeps scratch of the graph's size.
class VariationCost {
 public:
  /// degrees: [nodes]; target: A, [nodes, k]. All three must outlive the object.
  VariationCost(const graph::SparseGraph& graph, const std::vector<double>& degrees,
                const Matrix<double>& target);

  /// set: at least two different nodes.
  double operator()(std::span<const Index> set);

 private:
  const graph::SparseGraph& graph_;
  const std::vector<double>& degrees_;
  const Matrix<double>& target_;
  std::vector<Index> place_;  // [nodes], where in the set, or -1
  Matrix<double> centred_;    // [|S|, k], B
  Matrix<double> product_;    // [k, k], the lower triangle of B^T L_S B
  RowVector<double> difference_;
};

/// The same for S = {i, j}, in O(k): (d_i + d_j) / 2 ||a_i - a_j||^2.
double variation_edge_cost(const std::vector<double>& degrees, const Matrix<double>& target,
                           Index i, Index j);

}  // namespace ecseq::compress
