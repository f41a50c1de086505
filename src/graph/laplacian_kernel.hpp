#pragma once

#include <Eigen/Core>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/graph/components.hpp"
#include "ecseq/graph/laplacian.hpp"

namespace ecseq::graph {

/// The kernel of a Laplacian: one unit vector per component, constant there up to the square root
/// of the masses, kept as one number per node.
class LaplacianKernel {
 public:
  explicit LaplacianKernel(const Laplacian& laplacian);

  Index size() const { return components_.size(); }

  /// x <- x - Z Z^T x, Z the kernel's vectors; x: [nodes, columns]
  void project_out(Matrix<double>& x) const;
  void project_out(Eigen::Ref<Eigen::VectorXd> x) const;

  /// The vectors of the first `count` components, [nodes, count].
  Matrix<double> vectors(Index count) const;

 private:
  template <class Block>
  void project(Block& x) const;
  Index of(Index i) const { return components_.of_node[static_cast<std::size_t>(i)]; }
  double entry(Index i) const { return entries_[static_cast<std::size_t>(i)]; }

  Components components_;
  std::vector<double> entries_;  // [nodes]
};

}  // namespace ecseq::graph
