#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <functional>

#include "ecseq/core/parallel.hpp"
#include "ecseq/core/rng.hpp"
#include "eigensolvers.hpp"

namespace ecseq::graph {
namespace {

using Dense = Eigen::MatrixXd;
using DenseSolver = Eigen::SelfAdjointEigenSolver<Dense>;

constexpr Index kPanel = 16;  // the width that Laplacian::apply likes
constexpr Index kGuards = 6;  // vectors beyond those asked for: they set the filter's edge
constexpr int kDegree = 24;
constexpr Index kChunk = 4096;

/// x <- x r
void multiply_right(Matrix<double>& x, const Dense& r, int threads) {
  parallel_chunks(x.rows(), kChunk, threads, [&](Index begin, Index end) {
    x.middleRows(begin, end - begin) = (x.middleRows(begin, end - begin) * r).eval();
  });
}

/// Orthonormal columns of the same span, through the eigenvectors of the scaled Gram matrix (SVQB,
/// Stathopoulos and Wu 2002); twice, because the first pass leaves the square of the condition.
void orthonormalize(Matrix<double>& x, int threads) {
  for (int pass = 0; pass < 2; ++pass) {
    Dense gram = inner_products(x, x, threads);
    const Eigen::VectorXd scale = gram.diagonal().cwiseMax(1e-300).cwiseSqrt().cwiseInverse();
    gram = scale.asDiagonal() * gram * scale.asDiagonal();
    const DenseSolver solver(gram);
    const Eigen::VectorXd values =
        solver.eigenvalues().cwiseMax(1e-15 * solver.eigenvalues().maxCoeff());
    multiply_right(
        x,
        scale.asDiagonal() * solver.eigenvectors() * values.cwiseSqrt().cwiseInverse().asDiagonal(),
        threads);
  }
}

/// x <- p(L) x, p the Chebyshev polynomial that is small on [low, high] and grows below it, scaled
/// to about 1 at `wanted` against overflow. other: scratch of the same shape; breathe: called
/// before each product.
void filter(const Laplacian& laplacian, double wanted, double low, double high, Matrix<double>& x,
            Matrix<double>& other, int threads, const std::function<void()>& breathe) {
  const double radius = (high - low) / 2, centre = (high + low) / 2;
  double sigma = radius / (wanted - centre);
  const double tau = 2 / sigma;
  // y_1 = (L - c) x sigma_1 / e
  laplacian.apply(sigma / radius, x, -centre * sigma / radius, 0.0, other, threads);
  for (int degree = 2; degree <= kDegree; ++degree) {
    breathe();
    // y_{i+1} = 2 sigma_{i+1} / e (L - c) y_i - sigma_i sigma_{i+1} y_{i-1}
    const double next = 1 / (tau - sigma);
    laplacian.apply(2 * next / radius, other, -2 * centre * next / radius, -sigma * next, x,
                    threads);
    x.swap(other);
    sigma = next;
  }
  x.swap(other);
}

/// ||L u - lambda u|| / lambda of the first columns, at most.
double largest_residual(const Matrix<double>& x, const Matrix<double>& product,
                        const Eigen::VectorXd& values, Index count) {
  const Eigen::ArrayXd wanted = values.head(count);
  Eigen::ArrayXd squares = Eigen::ArrayXd::Zero(count);
  for (Index i = 0; i < x.rows(); ++i) {
    squares += (product.row(i).head(count).transpose().array() -
                wanted * x.row(i).head(count).transpose().array())
                   .square();
  }
  return (squares.sqrt() / wanted).maxCoeff();
}

Matrix<double> random_block(Index rows, Index columns, std::uint64_t seed) {
  Rng rng(seed);
  Matrix<double> out(rows, columns);
  for (Index i = 0; i < out.size(); ++i) out.data()[i] = rng.uniform(-1.0, 1.0);
  return out;
}

}  // namespace

Dense inner_products(const Matrix<double>& x, const Matrix<double>& y, int threads) {
  const Index n_chunks = (x.rows() + kChunk - 1) / kChunk;
  std::vector<Dense> parts(static_cast<std::size_t>(n_chunks));
  parallel_for(n_chunks, threads, [&](Index c) {
    const Index begin = c * kChunk, rows = std::min(kChunk, x.rows() - begin);
    parts[static_cast<std::size_t>(c)].noalias() =
        x.middleRows(begin, rows).transpose() * y.middleRows(begin, rows);
  });
  Dense sum = Dense::Zero(x.cols(), y.cols());
  for (const Dense& part : parts) sum += part;
  return sum;
}

Eigenpairs iterate_subspace(const Laplacian& laplacian, const LaplacianKernel& kernel,
                            const EigenpairOptions& options, const ProgressCallback& progress) {
  const Index count = options.count;
  const int threads = resolve_threads(options.num_threads);
  const Index available = laplacian.size() - kernel.size();
  const Index columns = std::min(available, (count + kGuards + kPanel - 1) / kPanel * kPanel);
  const double high = laplacian.upper_bound();
  Matrix<double> x = random_block(laplacian.size(), columns, options.seed), product;
  Eigenpairs out;
  const auto breathe = [&] {
    report(progress, {"eigenpairs", out.iterations, options.max_iterations, ""});
  };
  for (;; ++out.iterations) {
    breathe();
    kernel.project_out(x);
    orthonormalize(x, threads);
    // Rayleigh and Ritz
    laplacian.apply(1.0, x, 0.0, 0.0, product, threads);
    const Dense projected = inner_products(x, product, threads);
    const DenseSolver solver((projected + projected.transpose()) / 2);
    multiply_right(x, solver.eigenvectors(), threads);
    multiply_right(product, solver.eigenvectors(), threads);
    const Eigen::VectorXd& values = solver.eigenvalues();
    out.residual = largest_residual(x, product, values, count);
    out.converged = out.residual <= options.tolerance;
    if (out.converged || out.iterations == options.max_iterations) {
      out.values.assign(values.data(), values.data() + count);
      out.vectors = x.leftCols(count);
      return out;
    }
    const double low = std::min(values[columns - 1], 0.99 * high);
    filter(laplacian, std::min(values[0], 0.98 * low), low, high, x, product, threads, breathe);
  }
}

}  // namespace ecseq::graph
