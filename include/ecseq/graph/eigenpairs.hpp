#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/graph/laplacian.hpp"

namespace ecseq::graph {

struct EigenpairOptions {
  Index count = 10;                  ///< k, capped at the number there are
  double tolerance = 1e-6;           ///< residual ||L u - lambda u|| allowed, relative to lambda,
  double residual_floor = 0.0;       ///< or, where that is more, to Laplacian::upper_bound()
  int max_iterations = 200;          ///< filtered subspace iterations, or restarts of Lanczos
  std::string solver = "chebyshev";  ///< or "spectra"; see nonzero_eigenpairs
  std::uint64_t seed = 0;            ///< of the first subspace
  int num_threads = 0;               ///< the result does not depend on it
};

struct Eigenpairs {
  std::vector<double> values;  ///< [k], increasing
  Matrix<double> vectors;      ///< [nodes, k], orthonormal columns
  int iterations = 0;          ///< 0 where a dense solver did it
  double residual = 0.0;       ///< the largest ||L u - lambda u|| / lambda
  bool converged = true;       ///< every residual is within the tolerance, or the floor
};

/// The k smallest eigenvalues of the Laplacian that are not zero, and their vectors. The kernel
/// is left out because it is known: one vector per connected component.
///
/// "chebyshev": Chebyshev-filtered subspace iteration (Zhou, Saad, Tiago and Chelikowsky 2006) on a
/// block with a few guard vectors, so that multiple eigenvalues are all found. It reads the graph
/// once for 16 vectors, which is why it stays beside the library's solver: at a tolerance of 1e-3
/// it took 0.4 times the processor time of Spectra on a random regular graph of 108,263 nodes
/// (1.4 s).
/// Where contraction along heavy edges makes the graph smaller, as of a kNN graph though not of an
/// expander, the block starts from that of the contracted graph, and so on down to 2000 nodes
/// (Barnard and Simon 1994). Edges too light for the wanted eigenvalues are not contracted, so that
/// what hangs by a thread, as the outliers of a kNN graph do, is found in the smallest graph.
/// "spectra": Spectra's restarted Lanczos iteration on a Chebyshev polynomial of L, with a further
/// search beside what was found for multiple eigenvalues; to be preferred at tight tolerances (at
/// 1e-6, 4.6 s instead of 5.5 s on the regular graph). It starts at random: on a kNN graph of
/// 100,000 nodes in 480 components it took 8.3 s and the other, from the contracted graphs, 4.6 s.
/// Its Krylov space takes 3 k + 6 vectors. Where the graph has fewer eigenvalues than that which
/// are not zero, the subspace iteration serves instead. Up to 256 nodes a dense solver does it.
/// Throws InvalidArgument if count < 1 or the solver is unknown, Interrupted.
Eigenpairs nonzero_eigenpairs(const Laplacian& laplacian, const EigenpairOptions& options,
                              const ProgressCallback& progress = {});

/// The k smallest eigenvalues, zeros included: one for each connected component, whose vector is
/// constant there (D^1/2 times a constant in the normalised kind).
Eigenpairs first_eigenpairs(const Laplacian& laplacian, const EigenpairOptions& options,
                            const ProgressCallback& progress = {});

}  // namespace ecseq::graph
