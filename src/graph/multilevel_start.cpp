#include "multilevel_start.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "ecseq/core/parallel.hpp"
#include "ecseq/graph/contraction.hpp"

namespace ecseq::graph {
namespace {

constexpr Index kChunk = 4096;

// A level must have less than this share of the edges of the one before: else the levels' work does
// not sum up to a small multiple of the first's.
constexpr double kShrink = 0.92;

/// The neighbour tied most to i, the lower on ties, among those that `may` be; -1 if none.
template <class May>
Index heaviest_neighbor(const SparseGraph& graph, Index i, const May& may) {
  const auto neighbors = graph.neighbors_of(i);
  const auto weights = graph.weights_of(i);
  Index best = -1;
  float heaviest = 0.0F;
  for (std::size_t e = 0; e < neighbors.size(); ++e) {
    if (weights[e] <= heaviest || !may(neighbors[e], weights[e])) continue;
    heaviest = weights[e];
    best = neighbors[e];
  }
  return best;
}

/// The group of each node; returns their number.
Index group_heavy_edges(const Laplacian& laplacian, double least, std::vector<Index>& parent) {
  const SparseGraph& graph = laplacian.graph();
  parent.assign(static_cast<std::size_t>(graph.size()), -1);
  const auto group = [&](Index i) -> Index& { return parent[static_cast<std::size_t>(i)]; };
  const auto mass = [&](Index i) { return laplacian.masses()[static_cast<std::size_t>(i)]; };
  Index n_groups = 0;
  for (Index i = 0; i < graph.size(); ++i) {
    if (group(i) >= 0) continue;
    const auto tied = [&](Index j, float weight) {
      return weight * (1 / mass(i) + 1 / mass(j)) >= least;
    };
    const Index free = heaviest_neighbor(
        graph, i, [&](Index j, float weight) { return group(j) < 0 && tied(j, weight); });
    const Index other = free < 0 ? heaviest_neighbor(graph, i, tied) : -1;
    if (other >= 0) {
      group(i) = group(other);
      continue;
    }
    if (free >= 0) group(free) = n_groups;
    group(i) = n_groups++;
  }
  return n_groups;
}

}  // namespace

std::optional<CoarseProblem> coarsen_problem(const Laplacian& laplacian, double least,
                                             int threads) {
  CoarseProblem out;
  const Index n_groups = group_heavy_edges(laplacian, least, out.parent);
  contract(laplacian.graph(), out.parent, members_of(out.parent, n_groups), threads, out.graph);
  if (static_cast<double>(out.graph.n_edges()) >
      kShrink * static_cast<double>(laplacian.graph().n_edges())) {
    return std::nullopt;
  }
  out.masses.assign(static_cast<std::size_t>(n_groups), 0.0);
  for (std::size_t i = 0; i < out.parent.size(); ++i) {
    out.masses[static_cast<std::size_t>(out.parent[i])] += laplacian.masses()[i];
  }
  return out;
}

double low_end(const Laplacian& laplacian, Index count) {
  std::vector<double> quotients;
  for (std::size_t i = 0; i < laplacian.degrees().size(); ++i) {
    const double degree = laplacian.degrees()[i];
    if (degree > 0.0) quotients.push_back(degree / laplacian.masses()[i]);
  }
  if (count > static_cast<Index>(quotients.size())) return laplacian.upper_bound();
  const auto last = quotients.begin() + (count - 1);
  std::nth_element(quotients.begin(), last, quotients.end());
  return *last;
}

Matrix<double> prolong(const Laplacian& laplacian, const CoarseProblem& coarse,
                       const Matrix<double>& x, int threads) {
  Matrix<double> out(laplacian.size(), x.cols());
  parallel_chunks(laplacian.size(), kChunk, threads, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const Index group = coarse.parent[at];
      const double mass = coarse.masses[static_cast<std::size_t>(group)];
      const double share = mass > 0 ? laplacian.masses()[at] / mass : 0.0;
      out.row(i) = std::sqrt(share) * x.row(group);
    }
  });
  return out;
}

}  // namespace ecseq::graph
