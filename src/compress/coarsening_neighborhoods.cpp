#include <queue>
#include <tuple>

#include "coarsening_sets.hpp"
#include "ecseq/compress/coarsening_cost.hpp"
#include "ecseq/core/parallel.hpp"

namespace ecseq::compress {
namespace {

/// A neighbourhood by its centre; its members are those that are free when it is looked at.
struct Candidate {
  double cost;
  Index centre;
  Index size;  // free members when the cost was computed
  bool operator<(const Candidate& other) const {
    // The queue hands out the largest.
    return std::tie(cost, centre) > std::tie(other.cost, other.centre);
  }
};

void free_members(const graph::SparseGraph& graph, const Contraction& contraction, Index centre,
                  std::vector<Index>& members) {
  members.assign(1, centre);
  for (const auto j : graph.neighbors_of(centre)) {
    if (!contraction.taken(j)) members.push_back(j);
  }
}

}  // namespace

ContractionSets contract_neighborhoods(const graph::SparseGraph& graph,
                                       const std::vector<double>& degrees,
                                       const Matrix<double>& target, Index budget, int threads,
                                       const ProgressCallback& progress) {
  constexpr Index kTasks = 16;  // each has scratch of the graph's size
  constexpr Index kStep = 4096;
  const Index nodes = graph.size();
  Contraction contraction(nodes, budget);
  std::vector<Candidate> candidates(static_cast<std::size_t>(nodes));
  parallel_for(kTasks, threads, [&](Index task) {
    VariationCost cost(graph, degrees, target);
    std::vector<Index> members;
    for (Index i = nodes * task / kTasks; i < nodes * (task + 1) / kTasks; ++i) {
      free_members(graph, contraction, i, members);
      candidates[static_cast<std::size_t>(i)] = {members.size() > 1 ? cost(members) : 0.0, i,
                                                 static_cast<Index>(members.size())};
    }
  });

  std::erase_if(candidates, [](const Candidate& candidate) { return candidate.size < 2; });
  std::priority_queue<Candidate> queue({}, std::move(candidates));
  VariationCost cost(graph, degrees, target);
  std::vector<Index> members;
  for (Index step = 0; !queue.empty() && contraction.budget() > 0; ++step) {
    if (step % kStep == 0)
      report(progress, {"compress", budget - contraction.budget(), budget, ""});
    const Candidate candidate = queue.top();
    queue.pop();
    if (contraction.taken(candidate.centre)) continue;
    free_members(graph, contraction, candidate.centre, members);
    const auto size = static_cast<Index>(members.size());
    if (size < candidate.size) {
      if (size > 1) queue.push({cost(members), candidate.centre, size});
    } else if (size - 1 <= contraction.budget()) {
      contraction.contract(members, candidate.cost);
    }
  }
  return contraction.finish();
}

}  // namespace ecseq::compress
