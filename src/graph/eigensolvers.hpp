#pragma once

#include <Eigen/Core>

#include "ecseq/graph/eigenpairs.hpp"
#include "laplacian_kernel.hpp"

namespace ecseq::graph {

// The solvers behind nonzero_eigenpairs; options.count is at most the number there are, and the
// graph is larger than what a dense solver does.

/// Chebyshev-filtered subspace iteration.
Eigenpairs iterate_subspace(const Laplacian& laplacian, const LaplacianKernel& kernel,
                            const EigenpairOptions& options, const ProgressCallback& progress);

/// Columns of the Krylov space of the Lanczos iteration.
Index lanczos_columns(Index count);

/// Spectra's restarted Lanczos iteration on a FilteredLaplacian. The eigenvalues that are not zero
/// must be more than lanczos_columns(count).
Eigenpairs iterate_lanczos(const Laplacian& laplacian, const LaplacianKernel& kernel,
                           const EigenpairOptions& options, const ProgressCallback& progress);

/// x^T y, summed over fixed chunks in order.
Eigen::MatrixXd inner_products(const Matrix<double>& x, const Matrix<double>& y, int threads);

}  // namespace ecseq::graph
