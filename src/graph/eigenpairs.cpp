#include "ecseq/graph/eigenpairs.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>

#include "ecseq/core/require.hpp"
#include "eigensolvers.hpp"
#include "laplacian_kernel.hpp"

namespace ecseq::graph {
namespace {

constexpr Index kDenseNodes = 256;

Eigenpairs solve_dense(const Laplacian& laplacian, Index kernel, Index count) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(Eigen::MatrixXd(laplacian.sparse()));
  Eigenpairs out;
  for (Index j = 0; j < count; ++j) out.values.push_back(solver.eigenvalues()[kernel + j]);
  out.vectors = solver.eigenvectors().middleCols(kernel, count);
  return out;
}

void check(const EigenpairOptions& options) {
  require_at_least("count", options.count, 1);
  require_one_of("solver", options.solver, {"chebyshev", "spectra"});
}

}  // namespace

Eigenpairs nonzero_eigenpairs(const Laplacian& laplacian, const EigenpairOptions& options,
                              const ProgressCallback& progress) {
  check(options);
  const LaplacianKernel kernel(laplacian);
  const Index count = std::min(options.count, laplacian.size() - kernel.size());
  if (count == 0) return {{}, Matrix<double>(laplacian.size(), 0)};
  if (laplacian.size() <= kDenseNodes) return solve_dense(laplacian, kernel.size(), count);
  EigenpairOptions capped = options;
  capped.count = count;
  const bool room = laplacian.size() - kernel.size() > lanczos_columns(count);
  const auto iterate = options.solver == "spectra" && room ? iterate_lanczos : iterate_subspace;
  return iterate(laplacian, kernel, capped, progress);
}

Eigenpairs first_eigenpairs(const Laplacian& laplacian, const EigenpairOptions& options,
                            const ProgressCallback& progress) {
  check(options);
  const LaplacianKernel kernel(laplacian);
  const Index zeros = std::min(options.count, kernel.size());
  Eigenpairs out{std::vector<double>(static_cast<std::size_t>(zeros), 0.0), kernel.vectors(zeros)};
  if (zeros == options.count) return out;
  EigenpairOptions rest = options;
  rest.count -= zeros;
  Eigenpairs others = nonzero_eigenpairs(laplacian, rest, progress);
  others.values.insert(others.values.begin(), out.values.begin(), out.values.end());
  Matrix<double> vectors(laplacian.size(), zeros + others.vectors.cols());
  vectors << out.vectors, others.vectors;
  others.vectors = std::move(vectors);
  return others;
}

}  // namespace ecseq::graph
