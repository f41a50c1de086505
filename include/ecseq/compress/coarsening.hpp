#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ecseq/compress/representatives.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::compress {

/// Multilevel graph coarsening (Loukas, "Graph reduction with spectral and cut guarantees",
/// JMLR 2019): at each level the cheapest disjoint sets of connected nodes are contracted, until
/// K nodes are left.
struct CoarseningOptions {
  /// What is contracted, cheapest first:
  /// - "variation_neighborhoods": a node and its neighbours, by local variation (ECSeq's choice)
  /// - "variation_edges": an edge, by local variation
  /// - "variation_cliques": a maximal clique, by local variation; refused where a level has more
  ///   than a million of them: use "variation_neighborhoods" there
  /// - "heavy_edge": an edge, by its weight over the larger degree of its ends, heaviest first
  /// - "algebraic_jc": an edge, by the algebraic distance of its ends after Jacobi relaxation
  ///   (Ron, Safro and Brandt 2011)
  /// - "affinity_gs": an edge, by the affinity of its ends after Gauss-Seidel relaxation (Livne and
  ///   Brandt 2012), strongest first
  /// - "kron": nothing; nodes are eliminated (Kron reduction, Dorfler and Bullo 2013), at each
  /// level
  ///   all but those where the eigenvector of the Laplacian's largest eigenvalue is positive
  ///   (Shuman, Faraji and Vandergheynst 2016), or the K largest entries, and one per component.
  ///   The level's graph is that of the Schur complement L_aa - L_ab L_bb^-1 L_ba, which keeps the
  ///   resistances between the nodes that stay. An eliminated node goes to the one with the largest
  ///   entry in its row of the harmonic extension -L_bb^-1 L_ba, the lowest on ties. Dense: refused
  ///   beyond 8,000 nodes; use "variation_edges" there
  std::string method = "variation_neighborhoods";
  Index n_representatives = 500;  ///< K; 1 .. N
  Index n_eigenpairs = 10;        ///< k of the local variation methods: the first eigenvectors of
                                  ///< the Laplacian that the coarse graph should keep; the
                                  ///< zeros, one per component, come free and count as one
  double eigen_tolerance = 1e-3;  ///< residual allowed, relative to the eigenvalue,
  double eigen_floor = 1e-5;      ///< or, where that is more, to the bound d_i + d_j on all
                                  ///< eigenvalues. The published code asks ARPACK for 1e-5 of
                                  ///< twice the largest degree, which is no less. 0: never
  std::string eigen_solver = "chebyshev";  ///< or "spectra": see graph::nonzero_eigenpairs
  int max_levels = 200;
  Index n_cases = 5;       ///< typical members kept per representative
  std::uint64_t seed = 0;  ///< of the eigensolver and of the relaxed vectors
  int num_threads = 0;     ///< the result does not depend on it
};

/// One level of coarsening: what became of the nodes of the level before.
struct CoarseningLevel {
  std::vector<Index> parent;  ///< [nodes before], the node of this level that took each one
  graph::SparseGraph graph;   ///< of this level; weights between merged nodes are summed
  double sigma = 0.0;         ///< local variation methods: the bound on the level's variation,
                              ///< sigma^2 = sum of cost (|S| - 1) over the contracted sets
};

/// The levels from `graph` down to K nodes, or as far as its components and max_levels let them.
/// The restricted spectral approximation error of the first k eigenvectors is at most
/// prod(1 + sigma) - 1 (Loukas, sections 3 and 4).
/// O(edges k) per level, beside the eigenpairs and sorting; "variation_neighborhoods" O(k^2) per
/// edge within a neighbourhood, each of which looks at its members' neighbours, though not at all
/// of a hub's.
/// Throws InvalidArgument for a graph that `validate` refuses, an unknown method, K outside 1 .. N;
/// Interrupted.
std::vector<CoarseningLevel> coarsening_levels(const graph::SparseGraph& graph,
                                               const CoarseningOptions& options,
                                               const ProgressCallback& progress = {});

/// The nodes of the last level as representatives. Their vectors are Loukas's: the plain mean
/// within each contracted set at each level, so a set that was merged late weighs as much as a
/// large one; sets whose vectors come out equal are one representative.
/// The report's `iterations` are levels. Where the graph's components stand in the way, more than
/// K representatives come back and `note` says why: a kNN graph avoids it.
/// x: [N, h], finite; labels: [N, channels]; graph: of the N rows.
Compression coarsen(MatrixView<float> x, MatrixView<float> labels, const graph::SparseGraph& graph,
                    const CoarseningOptions& options, const ProgressCallback& progress = {});

}  // namespace ecseq::compress
