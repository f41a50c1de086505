#include <algorithm>
#include <functional>
#include <queue>
#include <tuple>

#include "coarsening_cliques.hpp"
#include "coarsening_sets.hpp"
#include "ecseq/compress/coarsening_cost.hpp"
#include "ecseq/core/parallel.hpp"

namespace ecseq::compress {
namespace {

/// Fills in what is still free of a candidate set; fewer than two nodes give it up.
using FreeMembers =
    std::function<void(const Contraction&, Index candidate, std::vector<Index>& members)>;

struct Candidate {
  double cost;
  Index number;
  Index size;  // free members when the cost was computed
  bool operator<(const Candidate& other) const {
    // The queue hands out the largest.
    return std::tie(cost, number) > std::tie(other.cost, other.number);
  }
};

ContractionSets contract_cheapest(const graph::SparseGraph& graph,
                                  const std::vector<double>& degrees, const Matrix<double>& target,
                                  Index n_candidates, const FreeMembers& free_members, Index budget,
                                  int threads, const ProgressCallback& progress) {
  constexpr Index kTasks = 8;  // each has scratch of the graph's size
  constexpr Index kChunk = 1024;
  constexpr Index kStep = 4096;
  Contraction contraction(graph.size(), budget);
  std::vector<Candidate> candidates(static_cast<std::size_t>(n_candidates));
  std::vector<VariationCost> costs;
  for (Index task = 0; task < kTasks; ++task) costs.emplace_back(graph, degrees, target);
  for (Index first = 0; first < n_candidates; first += kTasks * kChunk) {
    report(progress, {"compress", 0, budget, ""});
    parallel_for(kTasks, threads, [&](Index task) {
      std::vector<Index> members;
      const Index begin = first + task * kChunk;
      for (Index c = begin; c < std::min(n_candidates, begin + kChunk); ++c) {
        free_members(contraction, c, members);
        candidates[static_cast<std::size_t>(c)] = {
            members.size() > 1 ? costs[static_cast<std::size_t>(task)](members) : 0.0, c,
            static_cast<Index>(members.size())};
      }
    });
  }

  std::erase_if(candidates, [](const Candidate& candidate) { return candidate.size < 2; });
  std::priority_queue<Candidate> queue({}, std::move(candidates));
  VariationCost& cost = costs.front();
  std::vector<Index> members;
  for (Index step = 0; !queue.empty() && contraction.budget() > 0; ++step) {
    if (step % kStep == 0) {
      report(progress, {"compress", budget - contraction.budget(), budget, ""});
    }
    const Candidate candidate = queue.top();
    queue.pop();
    free_members(contraction, candidate.number, members);
    const auto size = static_cast<Index>(members.size());
    if (size < candidate.size) {
      if (size > 1) queue.push({cost(members), candidate.number, size});
    } else if (size - 1 <= contraction.budget()) {
      contraction.contract(members, candidate.cost);
    }
  }
  return contraction.finish();
}

}  // namespace

ContractionSets contract_neighborhoods(const graph::SparseGraph& graph,
                                       const std::vector<double>& degrees,
                                       const Matrix<double>& target, Index budget, int threads,
                                       const ProgressCallback& progress) {
  const auto free_members = [&](const Contraction& contraction, Index centre,
                                std::vector<Index>& members) {
    members.clear();
    if (contraction.taken(centre)) return;
    members.push_back(centre);
    for (const auto j : graph.neighbors_of(centre)) {
      if (!contraction.taken(j)) members.push_back(j);
    }
  };
  return contract_cheapest(graph, degrees, target, graph.size(), free_members, budget, threads,
                           progress);
}

ContractionSets contract_cliques(const graph::SparseGraph& graph,
                                 const std::vector<double>& degrees, const Matrix<double>& target,
                                 Index budget, int threads, const ProgressCallback& progress) {
  const std::vector<std::vector<Index>> cliques = maximal_cliques(graph, kMostCliques);
  const auto free_members = [&](const Contraction& contraction, Index clique,
                                std::vector<Index>& members) {
    members.clear();
    for (const Index i : cliques[static_cast<std::size_t>(clique)]) {
      if (!contraction.taken(i)) members.push_back(i);
    }
  };
  return contract_cheapest(graph, degrees, target, static_cast<Index>(cliques.size()), free_members,
                           budget, threads, progress);
}

}  // namespace ecseq::compress
