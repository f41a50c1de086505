#include "coarsening_proximity.hpp"

#include <algorithm>
#include <cmath>

#include "ecseq/core/parallel.hpp"
#include "ecseq/core/rng.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kVectors = 16;     // relaxed at once: two cache lines of a node
constexpr int kJacobiSweeps = 20;  // Ron, Safro and Brandt 2011
constexpr int kGaussSeidelSweeps = 4;
constexpr Index kChunk = 4096;

using Vectors = Eigen::Array<double, kVectors, 1>;

/// Random numbers in [-1/2, 1/2], [nodes, kVectors]: what relaxation smooths.
Matrix<double> random_vectors(Index nodes, std::uint64_t seed) {
  Rng rng(seed);
  Matrix<double> out(nodes, kVectors);
  for (Index i = 0; i < out.size(); ++i) out.data()[i] = rng.uniform(-0.5, 0.5);
  return out;
}

/// d_i^-1 sum_j w_ij x_j; the node's own row where it has no neighbour.
Vectors mean_of_neighbors(const graph::Laplacian& laplacian, const Matrix<double>& x, Index i) {
  const auto neighbors = laplacian.graph().neighbors_of(i);
  const auto weights = laplacian.graph().weights_of(i);
  if (neighbors.empty()) return x.row(i).transpose();
  Vectors sum = Vectors::Zero();
  for (std::size_t e = 0; e < neighbors.size(); ++e) {
    sum += weights[e] * Eigen::Map<const Vectors>(x.data() + neighbors[e] * kVectors);
  }
  return sum / laplacian.degrees()[static_cast<std::size_t>(i)];
}

/// x <- (x + D^-1 W x) / 2, some sweeps of damped Jacobi on L x = 0.
Matrix<double> relax_jacobi(const graph::Laplacian& laplacian, Matrix<double> x, int threads,
                            const ProgressCallback& progress) {
  Matrix<double> next(x.rows(), x.cols());
  for (int sweep = 0; sweep < kJacobiSweeps; ++sweep) {
    report(progress, {"relaxation", sweep, kJacobiSweeps, ""});
    parallel_chunks(x.rows(), kChunk, threads, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        next.row(i) = 0.5 * (x.row(i) + mean_of_neighbors(laplacian, x, i).matrix().transpose());
      }
    });
    x.swap(next);
  }
  return x;
}

/// x_i <- d_i^-1 sum_j w_ij x_j, node after node. One sweep uses what it has just written, so it
/// runs on one thread.
Matrix<double> relax_gauss_seidel(const graph::Laplacian& laplacian, Matrix<double> x,
                                  const ProgressCallback& progress) {
  for (int sweep = 0; sweep < kGaussSeidelSweeps; ++sweep) {
    report(progress, {"relaxation", sweep, kGaussSeidelSweeps, ""});
    for (Index i = 0; i < x.rows(); ++i) {
      x.row(i) = mean_of_neighbors(laplacian, x, i).matrix().transpose();
    }
  }
  return x;
}

void heavy_edges(const graph::Laplacian& laplacian, std::vector<CandidateEdge>& edges) {
  const auto& degrees = laplacian.degrees();
  edges.clear();
  edges.reserve(static_cast<std::size_t>(laplacian.graph().n_edges()));
  for (Index i = 0; i < laplacian.size(); ++i) {
    const auto neighbors = laplacian.graph().neighbors_of(i);
    const auto weights = laplacian.graph().weights_of(i);
    for (std::size_t e = 0; e < neighbors.size(); ++e) {
      if (neighbors[e] < i) continue;
      // w_ij / max(d_i, d_j)
      const double larger = std::max(degrees[static_cast<std::size_t>(i)],
                                     degrees[static_cast<std::size_t>(neighbors[e])]);
      edges.push_back({-weights[e] / larger, static_cast<std::int32_t>(i), neighbors[e]});
    }
  }
}

}  // namespace

void proximity_edges(const graph::Laplacian& laplacian, const std::string& method,
                     std::uint64_t seed, int threads, const ProgressCallback& progress,
                     std::vector<CandidateEdge>& edges) {
  if (method == "heavy_edge") return heavy_edges(laplacian, edges);
  Matrix<double> x = random_vectors(laplacian.size(), seed);
  if (method == "algebraic_jc") {
    x = relax_jacobi(laplacian, std::move(x), threads, progress);
    return price_edges(
        laplacian.graph(), threads, [&](Index i, Index j) { return (x.row(i) - x.row(j)).norm(); },
        edges);
  }
  x = relax_gauss_seidel(laplacian, std::move(x), progress);
  price_edges(
      laplacian.graph(), threads,
      [&](Index i, Index j) {
        // <x_i, x_j>^2 / (||x_i||^2 ||x_j||^2)
        const double product = x.row(i).dot(x.row(j));
        return -product * product / (x.row(i).squaredNorm() * x.row(j).squaredNorm());
      },
      edges);
}

}  // namespace ecseq::compress
