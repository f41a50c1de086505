#include "ecseq/graph/eigenpairs.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <utility>

#include "ecseq/core/error.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/graph/renumbering.hpp"
#include "eigensolvers.hpp"
#include "laplacian_kernel.hpp"

namespace ecseq::graph {
namespace {

constexpr Index kDenseNodes = 256;
constexpr Index kCached = 65'536;  // nodes whose block of vectors is near wherever they lie

Eigenpairs solve_dense(const Laplacian& laplacian, Index kernel, Index count) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(Eigen::MatrixXd(laplacian.sparse()));
  Eigenpairs out;
  for (Index j = 0; j < count; ++j) out.values.push_back(solver.eigenvalues()[kernel + j]);
  out.vectors = solver.eigenvectors().middleCols(kernel, count);
  return out;
}

void check(const EigenpairOptions& options) {
  require_at_least("count", options.count, 1);
  if (!(options.tolerance >= 0.0) || !(options.residual_floor >= 0.0)) {
    throw InvalidArgument("tolerance, residual_floor: expected numbers that are not negative");
  }
  require_one_of("solver", options.solver, {"chebyshev", "spectra"});
}

Eigenpairs solve(const Laplacian& laplacian, const EigenpairOptions& options,
                 const ProgressCallback& progress) {
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

/// Of a graph beyond the caches, with its nodes in breadth-first order meanwhile: products with a
/// kNN graph of a million nodes take half the time.
Eigenpairs solve_renumbered(const Laplacian& laplacian, const EigenpairOptions& options,
                            const ProgressCallback& progress) {
  const auto breathe = [&] { report(progress, {"eigenpairs", 0, options.max_iterations, ""}); };
  const std::vector<Index> order = breadth_first_order(laplacian.graph());
  breathe();
  const SparseGraph graph = renumber(laplacian.graph(), order, options.num_threads);
  breathe();
  std::vector<double> masses;
  for (const Index i : order) masses.push_back(laplacian.masses()[static_cast<std::size_t>(i)]);
  const Laplacian near(graph, std::move(masses));
  Eigenpairs out = solve(near, options, progress);
  const Matrix<double> vectors = std::move(out.vectors);
  out.vectors.resize(vectors.rows(), vectors.cols());
  for (std::size_t p = 0; p < order.size(); ++p) {
    out.vectors.row(order[p]) = vectors.row(static_cast<Index>(p));
  }
  return out;
}

}  // namespace

Eigenpairs nonzero_eigenpairs(const Laplacian& laplacian, const EigenpairOptions& options,
                              const ProgressCallback& progress) {
  check(options);
  return laplacian.size() > kCached ? solve_renumbered(laplacian, options, progress)
                                    : solve(laplacian, options, progress);
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
