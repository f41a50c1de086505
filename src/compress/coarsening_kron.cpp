#include "coarsening_kron.hpp"

#include <Eigen/Cholesky>
#include <Eigen/SparseCholesky>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/graph/components.hpp"
#include "ecseq/graph/laplacian.hpp"

namespace ecseq::compress {
namespace {

using Sparse = Eigen::SparseMatrix<double>;

constexpr int kPowerSteps = 200;  // the vector only has to split the nodes in two
constexpr Index kColumns = 16;    // right-hand sides between two breaths

/// The eigenvector of the largest eigenvalue of L by power iteration, positive at the entry that is
/// largest in size.
Matrix<double> largest_eigenvector(const graph::Laplacian& laplacian, std::uint64_t seed,
                                   int threads, const ProgressCallback& progress) {
  Rng rng(seed);
  Matrix<double> x(laplacian.size(), 1), product;
  for (Index i = 0; i < x.rows(); ++i) x(i, 0) = rng.uniform(-1.0, 1.0);
  for (int step = 0; step < kPowerSteps; ++step) {
    report(progress, {"largest eigenvector", step, kPowerSteps, ""});
    laplacian.apply(1.0, x, 0.0, 0.0, product, threads);
    const double norm = product.norm();
    if (norm == 0.0) break;  // no edges
    x = product / norm;
  }
  Index largest = 0;
  x.col(0).cwiseAbs().maxCoeff(&largest);
  if (x(largest, 0) < 0) x = -x;
  return x;
}

/// Which nodes stay, at least `target` of them: those where the vector is positive, and of each
/// component at least the node with its largest entry; filled up by, or cut down to, the largest
/// entries. Ties go to the lower node.
std::vector<bool> choose_kept(const graph::SparseGraph& graph, const Matrix<double>& vector,
                              Index target) {
  std::vector<Index> order(static_cast<std::size_t>(graph.size()));
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](Index a, Index b) { return vector(a, 0) > vector(b, 0); });
  const graph::Components components = graph::connected_components(graph);
  std::vector<bool> kept(order.size(), false), reached(components.sizes.size(), false);
  Index count = 0;
  const auto keep = [&](Index i) {
    count += kept[static_cast<std::size_t>(i)] ? 0 : 1;
    kept[static_cast<std::size_t>(i)] = true;
  };
  for (const Index i : order) {
    const auto component =
        static_cast<std::size_t>(components.of_node[static_cast<std::size_t>(i)]);
    if (!reached[component]) keep(i);
    reached[component] = true;
  }
  const auto positive = static_cast<Index>((vector.array() > 0).count());
  const Index wanted = std::max(target, positive);
  for (const Index i : order) {
    if (count >= wanted) break;
    keep(i);
  }
  return kept;
}

/// Eliminates the nodes that are not kept.
CoarseningLevel eliminate(const graph::SparseGraph& graph, const std::vector<bool>& kept,
                          const ProgressCallback& progress) {
  std::vector<Index> place(kept.size());
  Index n_kept = 0, n_gone = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) place[i] = kept[i] ? n_kept++ : n_gone++;

  // L_bb, and L_ba by columns of the kept nodes; L_aa starts the complement.
  std::vector<Eigen::Triplet<double>> inner, border;
  Eigen::MatrixXd complement = Eigen::MatrixXd::Zero(n_kept, n_kept);
  const std::vector<double> degrees = graph::weighted_degrees(graph);
  for (Index i = 0; i < graph.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const auto row = static_cast<int>(place[at]);
    if (kept[at]) {
      complement(row, row) = degrees[at];
    } else {
      inner.emplace_back(row, row, degrees[at]);
    }
    for (std::size_t e = 0; e < graph.neighbors_of(i).size(); ++e) {
      const auto j = static_cast<std::size_t>(graph.neighbors_of(i)[e]);
      const auto column = static_cast<int>(place[j]);
      const double entry = -static_cast<double>(graph.weights_of(i)[e]);
      if (kept[at] && kept[j]) complement(row, column) = entry;
      if (!kept[at] && !kept[j]) inner.emplace_back(row, column, entry);
      if (!kept[at] && kept[j]) border.emplace_back(row, column, entry);
    }
  }
  Sparse l_bb(n_gone, n_gone), l_ba(n_gone, n_kept);
  l_bb.setFromTriplets(inner.begin(), inner.end());
  l_ba.setFromTriplets(border.begin(), border.end());
  const Eigen::SimplicialLDLT<Sparse> factor(l_bb);

  // Row by row of the harmonic extension -L_bb^-1 L_ba: how much of a gone node each kept one is.
  std::vector<double> largest(static_cast<std::size_t>(n_gone), 0.0);
  std::vector<Index> heir(static_cast<std::size_t>(n_gone), 0);
  for (Index begin = 0; begin < n_kept; begin += kColumns) {
    report(progress, {"kron", begin, n_kept, ""});
    const Index width = std::min(kColumns, n_kept - begin);
    const Eigen::MatrixXd columns = l_ba.middleCols(begin, width);
    const Eigen::MatrixXd extension = -factor.solve(columns);
    complement.middleCols(begin, width) += l_ba.transpose() * extension;
    for (Index c = 0; c < width; ++c) {
      for (Index b = 0; b < n_gone; ++b) {
        const auto at = static_cast<std::size_t>(b);
        if (extension(b, c) <= largest[at]) continue;
        largest[at] = extension(b, c);
        heir[at] = begin + c;
      }
    }
  }

  CoarseningLevel level;
  level.parent.resize(kept.size());
  for (std::size_t i = 0; i < kept.size(); ++i) {
    level.parent[i] = kept[i] ? place[i] : heir[static_cast<std::size_t>(place[i])];
  }
  // Rounding leaves crumbs where there is no path.
  for (Index i = 0; i < n_kept; ++i) {
    for (Index j = 0; j < n_kept; ++j) {
      const auto weight = static_cast<float>(-(complement(i, j) + complement(j, i)) / 2);
      const double scale = std::min(complement(i, i), complement(j, j));
      if (i == j || weight <= 1e-12 * scale || weight <= 0.0F) continue;
      level.graph.neighbors.push_back(static_cast<std::int32_t>(j));
      level.graph.weights.push_back(weight);
    }
    level.graph.offsets.push_back(static_cast<Index>(level.graph.neighbors.size()));
  }
  return level;
}

}  // namespace

std::vector<CoarseningLevel> kron_levels(const graph::SparseGraph& graph,
                                         const CoarseningOptions& options,
                                         const ProgressCallback& progress) {
  if (graph.size() > kMostKronNodes) {
    throw InvalidArgument("method: 'kron' makes dense graphs and takes at most " +
                          std::to_string(kMostKronNodes) + " nodes, the graph has " +
                          std::to_string(graph.size()) + "; use 'variation_edges'");
  }
  const int threads = resolve_threads(options.num_threads);
  std::vector<CoarseningLevel> levels;
  const graph::SparseGraph* current = &graph;
  for (int l = 0; l < options.max_levels && current->size() > options.n_representatives; ++l) {
    const Matrix<double> vector =
        largest_eigenvector(graph::Laplacian(*current), options.seed, threads, progress);
    const std::vector<bool> kept = choose_kept(*current, vector, options.n_representatives);
    if (std::find(kept.begin(), kept.end(), false) == kept.end()) break;  // no edge is left
    levels.push_back(eliminate(*current, kept, progress));
    current = &levels.back().graph;
  }
  return levels;
}

}  // namespace ecseq::compress
