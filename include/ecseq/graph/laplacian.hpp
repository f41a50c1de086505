#pragma once

#include <Eigen/SparseCore>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::graph {

enum class LaplacianKind {
  kCombinatorial,  ///< L = D - W
  kNormalized,     ///< L = I - D^-1/2 W D^-1/2; the row of an isolated node is zero
};

/// Sum of the weights of each node's edges, [nodes].
std::vector<double> weighted_degrees(const SparseGraph& graph);

/// The Laplacian of a graph as an operator on blocks of vectors. It refers to the graph, which
/// must outlive it.
class Laplacian {
 public:
  explicit Laplacian(const SparseGraph& graph, LaplacianKind kind = LaplacianKind::kCombinatorial);

  Index size() const { return graph_.size(); }
  LaplacianKind kind() const { return kind_; }
  const SparseGraph& graph() const { return graph_; }
  const std::vector<double>& degrees() const { return degrees_; }

  /// y = alpha L x + beta x + gamma y; x, y: [nodes, columns]; gamma = 0 overwrites y. The same
  /// bits for every thread count.
  void apply(double alpha, const Matrix<double>& x, double beta, double gamma, Matrix<double>& y,
             int threads) const;

  /// A number that no eigenvalue exceeds: max d_i + d_j over the edges (Anderson and Morley 1985),
  /// or 2 for the normalised kind.
  double upper_bound() const;

  Eigen::SparseMatrix<double, Eigen::RowMajor> sparse() const;

 private:
  const SparseGraph& graph_;
  LaplacianKind kind_;
  std::vector<double> degrees_;   // [nodes]
  std::vector<double> diagonal_;  // [nodes]
  std::vector<double> scale_;     // [nodes], D^-1/2 or 1
};

}  // namespace ecseq::graph
