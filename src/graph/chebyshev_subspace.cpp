#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <functional>

#include "ecseq/core/parallel.hpp"
#include "ecseq/core/rng.hpp"
#include "eigensolvers.hpp"
#include "multilevel_start.hpp"

namespace ecseq::graph {
namespace {

using Dense = Eigen::MatrixXd;
using DenseSolver = Eigen::SelfAdjointEigenSolver<Dense>;

constexpr Index kPanel = 16;  // the width that Laplacian::apply likes
constexpr Index kGuards = 6;  // vectors beyond those asked for: they set the filter's edge
constexpr int kDegree = 24;

constexpr double kGrowth = 2.0;  // a filter of high degree is about cosh(2 kGrowth) at 0
constexpr double kMargin = 1.5;  // by which the residuals should end below what is allowed

// The coarser problems that the vectors start from. Those between the coarsest and ours are asked
// for one iteration: what they get wrong at the low end is due to their coarseness.
constexpr Index kCoarsest = 2000;          // eigenvalues; no coarser problem below
constexpr double kCoarseTolerance = 0.01;  // relative residual; the values are far closer
constexpr double kCoarseFloor = 1e-5;      // of the residual, relative to the largest eigenvalue
constexpr int kCoarsestIterations = 20;
constexpr double kTied = 8.0;  // edges that are so much above the wanted eigenvalues are contracted

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

/// The degree at which the filter divides what lies beyond `low` by each vector's excess; no more
/// than makes it grow a few times over from `low` to 0, because `low` is yet to fall.
int filter_degree(const Eigen::ArrayXd& excess, const Eigen::ArrayXd& wanted, double low,
                  double high) {
  double needed = kDegree;
  for (Index j = 0; j < excess.size(); ++j) {
    const double at = 1 + 2 * std::max(low - wanted[j], 1e-6 * low) / (high - low);
    needed = std::max(needed, std::acosh(std::max(1.0, kMargin * excess[j])) / std::acosh(at));
  }
  const double most = std::max(static_cast<double>(kDegree), kGrowth * std::sqrt(high / low));
  return static_cast<int>(std::min(std::ceil(needed), most));
}

/// x <- p(L) x, p the Chebyshev polynomial that is small on [low, high] and grows below it, scaled
/// to about 1 at `wanted` against overflow. other: scratch of the same shape; breathe: called
/// before each product.
void filter(const Laplacian& laplacian, double wanted, double low, double high, int degrees,
            Matrix<double>& x, Matrix<double>& other, int threads,
            const std::function<void()>& breathe) {
  const double radius = (high - low) / 2, centre = (high + low) / 2;
  double sigma = radius / (wanted - centre);
  const double tau = 2 / sigma;
  // y_1 = (L - c) x sigma_1 / e
  laplacian.apply(sigma / radius, x, -centre * sigma / radius, 0.0, other, threads);
  for (int degree = 2; degree <= degrees; ++degree) {
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

/// ||L u - lambda u|| of the first columns.
Eigen::ArrayXd residuals(const Matrix<double>& x, const Matrix<double>& product,
                         const Eigen::VectorXd& values, Index count, int threads) {
  const Index n_chunks = (x.rows() + kChunk - 1) / kChunk;
  std::vector<Eigen::ArrayXd> parts(static_cast<std::size_t>(n_chunks));
  parallel_for(n_chunks, threads, [&](Index c) {
    Eigen::ArrayXd& squares = parts[static_cast<std::size_t>(c)];
    squares = Eigen::ArrayXd::Zero(count);
    for (Index i = c * kChunk; i < std::min(x.rows(), (c + 1) * kChunk); ++i) {
      squares += (product.row(i).head(count).transpose().array() -
                  values.head(count).array() * x.row(i).head(count).transpose().array())
                     .square();
    }
  });
  Eigen::ArrayXd sum = Eigen::ArrayXd::Zero(count);
  for (const Eigen::ArrayXd& part : parts) sum += part;
  return sum.sqrt();
}

Matrix<double> random_block(Index rows, Index columns, std::uint64_t seed) {
  Rng rng(seed);
  Matrix<double> out(rows, columns);
  for (Index i = 0; i < out.size(); ++i) out.data()[i] = rng.uniform(-1.0, 1.0);
  return out;
}

/// When to stop: residuals within max(tolerance lambda, floor upper_bound).
struct Goal {
  double tolerance;
  double floor;
  int max_iterations;
};

/// A block of vectors on its way to the smallest eigenvalues.
struct Block {
  Matrix<double> x;        // [nodes, columns]
  Eigen::VectorXd values;  // [columns]
  double excess = 0.0;     // of the residuals over what is allowed, as a factor
  double residual = 0.0;   // the largest, relative to its eigenvalue
  int iterations = 0;
};

class Subspace {
 public:
  Subspace(const Laplacian& laplacian, const LaplacianKernel& kernel,
           const EigenpairOptions& options, const ProgressCallback& progress)
      : laplacian_(laplacian),
        kernel_(kernel),
        options_(options),
        threads_(resolve_threads(options.num_threads)),
        available_(laplacian.size() - kernel.size()),
        columns_(std::min(available_, (options.count + kGuards + kPanel - 1) / kPanel * kPanel)),
        breathe_([this, &progress] {
          report(progress, {"eigenpairs", iterations_, options_.max_iterations, ""});
        }) {}

  Eigenpairs run() {
    Block block;
    block.x = start(laplacian_, available_);
    refine(laplacian_, kernel_,
           {options_.tolerance, options_.residual_floor, options_.max_iterations}, block);
    Eigenpairs out;
    out.values.assign(block.values.data(), block.values.data() + options_.count);
    out.vectors = block.x.leftCols(options_.count);
    out.iterations = block.iterations;
    out.residual = block.residual;
    out.converged = block.excess <= 1.0;
    return out;
  }

 private:
  /// Random vectors, or those of a coarser problem where there is one.
  Matrix<double> start(const Laplacian& laplacian, Index available) {
    breathe_();
    if (available > kCoarsest) {
      const double floor = options_.residual_floor * laplacian.upper_bound();
      const double least = kTied * std::max(low_end(laplacian, options_.count), floor);
      if (const auto coarse = coarsen_problem(laplacian, least, threads_)) {
        const Laplacian operation(coarse->graph, coarse->masses);
        const LaplacianKernel kernel(operation);
        const Index left = operation.size() - kernel.size();
        if (left >= columns_) {
          Block block;
          block.x = start(operation, left);
          refine(operation, kernel,
                 {kCoarseTolerance, kCoarseFloor, left > kCoarsest ? 1 : kCoarsestIterations},
                 block);
          return prolong(laplacian, *coarse, block.x, threads_);
        }
      }
    }
    return random_block(laplacian.size(), columns_, options_.seed);
  }

  void refine(const Laplacian& laplacian, const LaplacianKernel& kernel, const Goal& goal,
              Block& block) {
    const double high = laplacian.upper_bound();
    Matrix<double>& x = block.x;
    Matrix<double> product;
    for (;; ++block.iterations, ++iterations_) {
      breathe_();
      kernel.project_out(x);
      orthonormalize(x, threads_);
      // Rayleigh and Ritz
      laplacian.apply(1.0, x, 0.0, 0.0, product, threads_);
      const Dense projected = inner_products(x, product, threads_);
      const DenseSolver solver((projected + projected.transpose()) / 2);
      multiply_right(x, solver.eigenvectors(), threads_);
      multiply_right(product, solver.eigenvectors(), threads_);
      block.values = solver.eigenvalues();
      const Eigen::ArrayXd wanted = block.values.head(options_.count).array();
      const Eigen::ArrayXd found = residuals(x, product, block.values, options_.count, threads_);
      const Eigen::ArrayXd excess = found / (goal.tolerance * wanted).max(goal.floor * high);
      block.residual = (found / wanted).maxCoeff();
      block.excess = excess.maxCoeff();
      if (block.excess <= 1.0 || block.iterations == goal.max_iterations) return;
      const double low = std::min(block.values[columns_ - 1], 0.99 * high);
      filter(laplacian, std::min(block.values[0], 0.98 * low), low, high,
             filter_degree(excess, wanted, low, high), x, product, threads_, breathe_);
    }
  }

  const Laplacian& laplacian_;
  const LaplacianKernel& kernel_;
  const EigenpairOptions& options_;
  int threads_;
  Index available_;  // eigenvalues that are not zero
  Index columns_;
  int iterations_ = 0;
  std::function<void()> breathe_;
};

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
  return Subspace(laplacian, kernel, options, progress).run();
}

}  // namespace ecseq::graph
