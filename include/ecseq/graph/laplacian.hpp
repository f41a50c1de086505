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

  /// M^-1/2 (D - W) M^-1/2, whose eigenvalues are those of L y = lambda M y: the combinatorial kind
  /// with masses of 1, the normalised one with the degrees. The row of a node without mass is zero.
  /// masses: [nodes], positive where a node has edges.
  Laplacian(const SparseGraph& graph, std::vector<double> masses);

  Index size() const { return graph_.size(); }
  const SparseGraph& graph() const { return graph_; }
  const std::vector<double>& degrees() const { return degrees_; }
  const std::vector<double>& masses() const { return masses_; }

  /// y = alpha L x + beta x + gamma y; x, y: [nodes, columns]; gamma = 0 overwrites y. The same
  /// bits for every thread count.
  void apply(double alpha, const Matrix<double>& x, double beta, double gamma, Matrix<double>& y,
             int threads) const;

  /// A number that no eigenvalue exceeds: max d_i / m_i + d_j / m_j over the edges (Anderson and
  /// Morley 1985), which is 2 for the normalised kind.
  double upper_bound() const;

  Eigen::SparseMatrix<double, Eigen::RowMajor> sparse() const;

 private:
  const SparseGraph& graph_;
  std::vector<double> degrees_;   // [nodes]
  std::vector<double> masses_;    // [nodes], M
  std::vector<double> diagonal_;  // [nodes], D / M
  std::vector<double> scale_;     // [nodes], M^-1/2
  bool plain_ = false;            // all masses are 1
};

}  // namespace ecseq::graph
