#include <Spectra/SymEigsSolver.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <functional>
#include <limits>

#include "ecseq/core/parallel.hpp"
#include "ecseq/core/rng.hpp"
#include "eigensolvers.hpp"
#include "filtered_laplacian.hpp"

namespace ecseq::graph {
namespace {

using Dense = Eigen::MatrixXd;

constexpr double kAny = std::numeric_limits<double>::infinity();  // of Spectra: no restarts
constexpr double kMargin = 2.0;  // the filter grows below this many times the last value wanted
constexpr double kCheckTolerance = 1e-2;

/// Spectra's restarted Lanczos, which gives Ritz vectors whether they have converged or not.
class Lanczos : public Spectra::SymEigsSolver<FilteredLaplacian> {
 public:
  using Spectra::SymEigsSolver<FilteredLaplacian>::SymEigsSolver;

  /// Of the largest values, [nodes, count].
  Dense ritz_vectors(ecseq::Index count) const {
    const Eigen::SelfAdjointEigenSolver<Dense> solver(Dense(m_fac.matrix_H()));
    return m_fac.matrix_V() * solver.eigenvectors().rightCols(count);
  }
};

/// What is known of the smallest eigenvalues.
struct Ritz {
  Eigen::VectorXd values;     // increasing
  Dense vectors;              // [nodes, values]
  Eigen::VectorXd residuals;  // ||L u - lambda u|| / lambda

  Index size() const { return values.size(); }
  double largest_residual() const { return size() == 0 ? 0.0 : residuals.maxCoeff(); }
};

/// The best approximations within the span of `basis`, the first `count` (Rayleigh and Ritz).
Ritz rayleigh_ritz(const Laplacian& laplacian, const Dense& basis, Index count, int threads) {
  const Matrix<double> x = basis;
  Matrix<double> product;
  laplacian.apply(1.0, x, 0.0, 0.0, product, threads);
  const Dense energy = inner_products(x, product, threads);
  const Eigen::GeneralizedSelfAdjointEigenSolver<Dense> solver((energy + energy.transpose()) / 2,
                                                               inner_products(x, x, threads));
  count = std::min(count, basis.cols());
  const Dense turn = solver.eigenvectors().leftCols(count);
  Ritz out{solver.eigenvalues().head(count), basis * turn, {}};
  const Dense error = product * turn - out.vectors * out.values.asDiagonal();
  out.residuals = error.colwise().norm().transpose().cwiseQuotient(out.values);
  return out;
}

class Search {
 public:
  Search(const Laplacian& laplacian, const LaplacianKernel& kernel, const EigenpairOptions& options,
         const ProgressCallback& progress)
      : laplacian_(laplacian),
        kernel_(kernel),
        options_(options),
        threads_(resolve_threads(options.num_threads)),
        rng_(options.seed),
        high_(laplacian.upper_bound()),
        low_(high_ / 2),
        breathe_([this, &progress] {
          report(progress, {"eigenpairs", iterations_, options_.max_iterations, ""});
        }) {}

  Eigenpairs run() {
    const Index count = options_.count;
    Ritz found = first_run();
    // A Krylov space holds one vector of a multiple eigenvalue; rounding brings in the others, not
    // always in time. So we look once more beside what was found, until nothing smaller turns up.
    for (Index wanted = 1; within(found, options_.tolerance); wanted = count) {
      const double tolerance =
          wanted == 1 ? std::max(options_.tolerance, kCheckTolerance) : options_.tolerance;
      const Ritz more = refine(wanted, found.vectors, tolerance,
                               lanczos(wanted, found.vectors, random_vector(), kAny));
      if (more.values[0] >= found.values[count - 1]) break;
      Dense both(laplacian_.size(), count + wanted);
      both << found.vectors, more.vectors;
      found = rayleigh_ritz(laplacian_, both, count, threads_);
      found = refine(count, Dense(laplacian_.size(), 0), options_.tolerance, std::move(found));
    }
    Eigenpairs out;
    out.values.assign(found.values.data(), found.values.data() + count);
    out.vectors = found.vectors;
    out.iterations = iterations_;
    out.residual = found.largest_residual();
    out.converged = within(found, options_.tolerance);
    return out;
  }

 private:
  Eigen::VectorXd random_vector() {
    Eigen::VectorXd out(laplacian_.size());
    for (Index i = 0; i < out.size(); ++i) out[i] = rng_.uniform(-1.0, 1.0);
    return out;
  }

  double allowed(double value, double tolerance) const {
    return std::max(tolerance * value, options_.residual_floor * high_);
  }
  bool within(const Ritz& ritz, double tolerance) const {
    for (Index j = 0; j < ritz.size(); ++j) {
      if (ritz.residuals[j] * ritz.values[j] > allowed(ritz.values[j], tolerance)) return false;
    }
    return true;
  }

  Ritz first_run() {
    const Dense none(laplacian_.size(), 0);
    const Index count = options_.count;
    Ritz ritz = lanczos(count, none, random_vector(), kAny);
    // A Ritz value is never below the eigenvalue of its place: the filter's edge follows it down.
    const auto edge = [&] { return kMargin * ritz.values[count - 1]; };
    while (2 * edge() < low_ && iterations_ < options_.max_iterations) {
      low_ = edge();
      ritz = lanczos(count, none, ritz.vectors.rowwise().sum(), kAny);
    }
    low_ = std::min(low_, edge());
    return refine(count, none, options_.tolerance, std::move(ritz));
  }

  /// Restarted runs, until the residuals of L itself are within the tolerance.
  Ritz refine(Index count, const Dense& known, double tolerance, Ritz ritz) {
    double share = 0.5;
    while (!within(ritz, tolerance) && iterations_ < options_.max_iterations) {
      const FilteredLaplacian op(laplacian_, kernel_, known, low_, threads_, breathe_);
      double filtered = 1.0;
      for (Index j = 0; j < count; ++j) {
        filtered =
            std::min(filtered, allowed(ritz.values[j], tolerance) * op.steepness(ritz.values[j]));
      }
      ritz = lanczos(count, known, ritz.vectors.rowwise().sum(), share * filtered);
      share *= 0.1;
    }
    return ritz;
  }

  /// One run from `start`, with restarts until Spectra's own tolerance.
  Ritz lanczos(Index count, const Dense& known, const Eigen::VectorXd& start, double tolerance) {
    FilteredLaplacian op(laplacian_, kernel_, known, low_, threads_, breathe_);
    Lanczos solver(op, count, lanczos_columns(count));
    solver.init(start.data());
    solver.compute(Spectra::SortRule::LargestAlge,
                   std::max(options_.max_iterations - iterations_, 1), tolerance);
    iterations_ += static_cast<int>(solver.num_iterations());
    return rayleigh_ritz(laplacian_, solver.ritz_vectors(count), count, threads_);
  }

  const Laplacian& laplacian_;
  const LaplacianKernel& kernel_;
  const EigenpairOptions& options_;
  int threads_;
  int iterations_ = 0;
  Rng rng_;
  double high_;
  double low_;  // the filter's edge
  std::function<void()> breathe_;
};

}  // namespace

Index lanczos_columns(Index count) { return count == 1 ? 12 : 3 * count + 6; }

Eigenpairs iterate_lanczos(const Laplacian& laplacian, const LaplacianKernel& kernel,
                           const EigenpairOptions& options, const ProgressCallback& progress) {
  return Search(laplacian, kernel, options, progress).run();
}

}  // namespace ecseq::graph
