#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/graph/laplacian.hpp"

namespace ecseq::graph {

struct EigenpairOptions {
  Index count = 10;          ///< k, capped at the number there are
  double tolerance = 1e-6;   ///< residual ||L u - lambda u|| allowed, relative to lambda
  int max_iterations = 200;  ///< filtered subspace iterations, each of 24 products with L
  std::uint64_t seed = 0;    ///< of the first subspace
  int num_threads = 0;       ///< the result does not depend on it
};

struct Eigenpairs {
  std::vector<double> values;  ///< [k], increasing
  Matrix<double> vectors;      ///< [nodes, k], orthonormal columns
  int iterations = 0;          ///< 0 where a dense solver did it
  double residual = 0.0;       ///< the largest ||L u - lambda u|| / lambda
  bool converged = true;       ///< residual is within the tolerance
};

/// The k smallest eigenvalues of the Laplacian that are not zero, and their vectors. The kernel
/// is left out because it is known: one vector per connected component.
///
/// Chebyshev-filtered subspace iteration (Zhou, Saad, Tiago and Chelikowsky 2006) on a block with
/// a few guard vectors, so that multiple eigenvalues are all found; up to 256 nodes, a dense
/// solver. Throws InvalidArgument if count < 1, Interrupted.
Eigenpairs nonzero_eigenpairs(const Laplacian& laplacian, const EigenpairOptions& options,
                              const ProgressCallback& progress = {});

/// The k smallest eigenvalues, zeros included: one for each connected component, whose vector is
/// constant there (D^1/2 times a constant in the normalised kind).
Eigenpairs first_eigenpairs(const Laplacian& laplacian, const EigenpairOptions& options,
                            const ProgressCallback& progress = {});

}  // namespace ecseq::graph
