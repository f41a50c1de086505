#pragma once

#include <Eigen/Core>
#include <functional>

#include "ecseq/graph/laplacian.hpp"
#include "laplacian_kernel.hpp"

namespace ecseq::graph {

/// The operator that Spectra iterates on: T_d((c - L) / e), the Chebyshev polynomial of degree d
/// that lies within [-1, 1] on the eigenvalues of L in [low, high] and grows below `low`, so that
/// the smallest eigenvalues become the largest and lie apart. The kernel of L and the vectors that
/// are already known become eigenvectors of the value -2, which nobody looks for.
class FilteredLaplacian {
 public:
  using Scalar = double;

  /// known: [nodes, any], orthonormal columns; breathe: called before each product with L. All
  /// must outlive the object.
  FilteredLaplacian(const Laplacian& laplacian, const LaplacianKernel& kernel,
                    const Eigen::MatrixXd& known, double low, int threads,
                    const std::function<void()>& breathe);

  // What Spectra calls.
  Index rows() const { return laplacian_.size(); }
  Index cols() const { return laplacian_.size(); }
  void perform_op(const double* in, double* out) const;

  /// |p'(value)| / p(value) below `low`: how far a relative change of the filtered value is one of
  /// the value itself.
  double steepness(double value) const;

 private:
  const Laplacian& laplacian_;
  const LaplacianKernel& kernel_;
  const Eigen::MatrixXd& known_;
  double centre_;  // c
  double radius_;  // e
  int degree_;     // d
  int threads_;
  const std::function<void()>& breathe_;
  mutable Matrix<double> now_, before_;  // [nodes, 1]
};

}  // namespace ecseq::graph
