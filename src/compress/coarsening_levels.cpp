#include "coarsening_levels.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "coarsening_kron.hpp"
#include "coarsening_proximity.hpp"
#include "coarsening_sets.hpp"
#include "ecseq/compress/coarsening_cost.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/graph/contraction.hpp"
#include "ecseq/graph/eigenpairs.hpp"

namespace ecseq::compress {
namespace {

void check(const graph::SparseGraph& graph, const CoarseningOptions& options) {
  require_one_of("method", options.method,
                 {"variation_neighborhoods", "variation_edges", "variation_cliques", "heavy_edge",
                  "algebraic_jc", "affinity_gs", "kron"});
  require_at_least("n_representatives", options.n_representatives, 1);
  require_at_least("n_eigenpairs", options.n_eigenpairs, 2);
  require_at_least("max_levels", options.max_levels, 1);
  validate(graph);
  if (options.n_representatives > graph.size()) {
    throw InvalidArgument("n_representatives: " + std::to_string(options.n_representatives) +
                          " asked for, but the graph has only " + std::to_string(graph.size()) +
                          " nodes");
  }
}

/// A_0 = U Lambda^-1/2, without the kernel, on which it is zero.
Matrix<double> spectral_target(const graph::Laplacian& laplacian, const CoarseningOptions& options,
                               const ProgressCallback& progress) {
  graph::EigenpairOptions eigen;
  eigen.count = options.n_eigenpairs - 1;
  eigen.tolerance = options.eigen_tolerance;
  eigen.residual_floor = options.eigen_floor;
  eigen.solver = options.eigen_solver;
  eigen.seed = options.seed;
  eigen.num_threads = options.num_threads;
  graph::Eigenpairs pairs = graph::nonzero_eigenpairs(laplacian, eigen, progress);
  // Of a node that hangs by a thread, what is computed may be rounding, and even negative.
  const double rounding = std::numeric_limits<double>::epsilon() * laplacian.upper_bound();
  for (Index j = 0; j < pairs.vectors.cols(); ++j) {
    const double value = pairs.values[static_cast<std::size_t>(j)];
    pairs.vectors.col(j) /= std::sqrt(std::max(value, rounding));
  }
  return pairs.vectors;
}

/// A <- B V D^-1/2 with B = P A and V D V^T = B^T L B, so that A^T L A = I on the coarser graph
/// (Loukas, section 4). Directions that the contraction has flattened are dropped.
Matrix<double> next_target(const graph::Laplacian& coarse, const Matrix<double>& target,
                           const graph::Members& members, int threads) {
  const Matrix<double> averaged = graph::average_rows(target, members, threads);
  Matrix<double> product;
  coarse.apply(1.0, averaged, 0.0, 0.0, product, threads);
  const Eigen::MatrixXd energy = averaged.transpose() * product;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver((energy + energy.transpose()) / 2);
  Eigen::MatrixXd basis = solver.eigenvectors();
  Index kept = 0;
  for (Index j = 0; j < basis.cols(); ++j) {
    const double value = solver.eigenvalues()[j];
    if (value < 1e-10 * solver.eigenvalues().maxCoeff() || value <= 0) continue;
    basis.col(kept++) = solver.eigenvectors().col(j) / std::sqrt(value);
  }
  return averaged * basis.leftCols(kept);
}

class Coarsener {
 public:
  Coarsener(const CoarseningOptions& options, const ProgressCallback& progress)
      : options_(options),
        progress_(progress),
        threads_(resolve_threads(options.num_threads)),
        variation_(options.method.starts_with("variation")) {}

  void run(const graph::SparseGraph& graph, const LevelVisitor& visit) {
    const graph::SparseGraph* current = &graph;
    if (variation_ && graph.size() > options_.n_representatives) {
      target_ = spectral_target(graph::Laplacian(graph), options_, progress_);
    }
    const Index wanted = graph.size() - options_.n_representatives;
    for (int l = 0; l < options_.max_levels && current->size() > options_.n_representatives; ++l) {
      report(progress_, {"compress", graph.size() - current->size(), wanted,
                         "level " + std::to_string(l + 1)});
      ContractionSets sets = contraction_sets(*current);
      if (sets.n_groups == current->size()) break;  // no edge is left
      graph::SparseGraph& coarse = graphs_[static_cast<std::size_t>(l % 2)];
      const graph::Members members = graph::members_of(sets.parent, sets.n_groups);
      graph::contract(*current, sets.parent, members, threads_, coarse);
      if (variation_) target_ = next_target(graph::Laplacian(coarse), target_, members, threads_);
      visit(std::move(sets.parent), coarse, std::sqrt(sets.variation));
      current = &coarse;
    }
  }

 private:
  ContractionSets contraction_sets(const graph::SparseGraph& graph) {
    const graph::Laplacian laplacian(graph);
    const Index budget = graph.size() - options_.n_representatives;
    if (!variation_) {
      proximity_edges(laplacian, options_.method, options_.seed, threads_, progress_, edges_);
      ContractionSets sets =
          match_edges(graph.size(), edges_, scratch_, budget, threads_, progress_);
      sets.variation = 0.0;  // these costs bound nothing
      return sets;
    }
    if (options_.method != "variation_edges") {
      const auto contract =
          options_.method == "variation_cliques" ? contract_cliques : contract_neighborhoods;
      ContractionSets sets =
          contract(graph, laplacian.degrees(), target_, budget, threads_, progress_);
      // Where few disjoint sets fit into what is left to merge, as around a hub, edges do.
      if (10 * (graph.size() - sets.n_groups) >= budget) return sets;
      ContractionSets edges = match_variation_edges(laplacian, budget);
      return edges.n_groups < sets.n_groups ? edges : sets;
    }
    return match_variation_edges(laplacian, budget);
  }

  ContractionSets match_variation_edges(const graph::Laplacian& laplacian, Index budget) {
    price_edges(
        laplacian.graph(), threads_,
        [&](Index i, Index j) { return variation_edge_cost(laplacian.degrees(), target_, i, j); },
        edges_);
    ContractionSets sets =
        match_edges(laplacian.size(), edges_, scratch_, budget, threads_, progress_);
    if (sets.joined) sets.variation = variation_of(laplacian, sets);
    return sets;
  }

  double variation_of(const graph::Laplacian& laplacian, const ContractionSets& sets) const {
    VariationCost cost(laplacian.graph(), laplacian.degrees(), target_);
    const graph::Members members = graph::members_of(sets.parent, sets.n_groups);
    double variation = 0.0;
    for (std::size_t g = 0; g + 1 < members.offsets.size(); ++g) {
      const Index size = members.offsets[g + 1] - members.offsets[g];
      if (size < 2) continue;
      const std::span<const Index> set(members.nodes.data() + members.offsets[g],
                                       static_cast<std::size_t>(size));
      variation += cost(set) * static_cast<double>(size - 1);
    }
    return variation;
  }

  const CoarseningOptions& options_;
  const ProgressCallback& progress_;
  int threads_;
  bool variation_;
  Matrix<double> target_;  // A, [nodes, k]
  // Memory that the levels use in turn: fresh pages cost more than what is written to them.
  std::array<graph::SparseGraph, 2> graphs_;
  std::vector<CandidateEdge> edges_;
  PagedArray<CandidateEdge> scratch_;
};

}  // namespace

void visit_levels(const graph::SparseGraph& graph, const CoarseningOptions& options,
                  const LevelVisitor& visit, const ProgressCallback& progress) {
  check(graph, options);
  if (options.method != "kron") return Coarsener(options, progress).run(graph, visit);
  for (CoarseningLevel& level : kron_levels(graph, options, progress)) {
    visit(std::move(level.parent), level.graph, level.sigma);
  }
}

std::vector<CoarseningLevel> coarsening_levels(const graph::SparseGraph& graph,
                                               const CoarseningOptions& options,
                                               const ProgressCallback& progress) {
  std::vector<CoarseningLevel> levels;
  visit_levels(
      graph, options,
      [&](std::vector<Index> parent, const graph::SparseGraph& coarse, double sigma) {
        levels.push_back({std::move(parent), coarse, sigma});
      },
      progress);
  return levels;
}

}  // namespace ecseq::compress
