#include "coarsening_cliques.hpp"

#include <algorithm>
#include <iterator>
#include <string>

#include "ecseq/core/error.hpp"

namespace ecseq::compress {
namespace {

using Nodes = std::vector<Index>;  // increasing

class CliqueSearch {
 public:
  CliqueSearch(const graph::SparseGraph& graph, Index most) : graph_(graph), most_(most) {}

  std::vector<Nodes> run() {
    for (Index i = 0; i < graph_.size(); ++i) {
      const auto neighbors = graph_.neighbors_of(i);
      const auto later = std::upper_bound(neighbors.begin(), neighbors.end(), i);
      clique_.assign(1, i);
      extend(Nodes(later, neighbors.end()), Nodes(neighbors.begin(), later));
    }
    return std::move(found_);
  }

 private:
  Nodes neighbors_within(Index i, const Nodes& nodes) const {
    const auto neighbors = graph_.neighbors_of(i);
    Nodes out;
    std::set_intersection(nodes.begin(), nodes.end(), neighbors.begin(), neighbors.end(),
                          std::back_inserter(out));
    return out;
  }

  /// All maximal cliques that hold clique_, some of `candidates` and none of `excluded`, both of
  /// which are adjacent to the whole of clique_.
  void extend(Nodes candidates, Nodes excluded) {
    if (candidates.empty()) {
      if (excluded.empty() && clique_.size() > 1) keep();
      return;
    }
    // A maximal clique holds the pivot or a node that is not its neighbour.
    Nodes near_pivot;
    for (const Nodes* nodes : {&candidates, &excluded}) {
      for (const Index i : *nodes) {
        Nodes near = neighbors_within(i, candidates);
        if (near.size() > near_pivot.size()) near_pivot = std::move(near);
      }
    }
    Nodes branches;
    std::set_difference(candidates.begin(), candidates.end(), near_pivot.begin(), near_pivot.end(),
                        std::back_inserter(branches));
    for (const Index i : branches) {
      clique_.push_back(i);
      extend(neighbors_within(i, candidates), neighbors_within(i, excluded));
      clique_.pop_back();
      candidates.erase(std::lower_bound(candidates.begin(), candidates.end(), i));
      excluded.insert(std::lower_bound(excluded.begin(), excluded.end(), i), i);
    }
  }

  void keep() {
    if (static_cast<Index>(found_.size()) == most_) {
      throw InvalidArgument("method: the graph has more than " + std::to_string(most_) +
                            " maximal cliques; use 'variation_neighborhoods'");
    }
    found_.push_back(clique_);
    std::sort(found_.back().begin(), found_.back().end());
  }

  const graph::SparseGraph& graph_;
  Index most_;
  Nodes clique_;
  std::vector<Nodes> found_;
};

}  // namespace

std::vector<std::vector<Index>> maximal_cliques(const graph::SparseGraph& graph, Index most) {
  return CliqueSearch(graph, most).run();
}

}  // namespace ecseq::compress
