#include "ecseq/graph/components.hpp"

namespace ecseq::graph {

Components connected_components(const SparseGraph& graph) {
  Components out;
  out.of_node.assign(static_cast<std::size_t>(graph.size()), -1);
  std::vector<Index> open;
  for (Index start = 0; start < graph.size(); ++start) {
    if (out.of_node[static_cast<std::size_t>(start)] >= 0) continue;
    const Index component = out.size();
    out.sizes.push_back(0);
    out.of_node[static_cast<std::size_t>(start)] = component;
    open.push_back(start);
    while (!open.empty()) {
      const Index i = open.back();
      open.pop_back();
      ++out.sizes.back();
      for (const auto j : graph.neighbors_of(i)) {
        if (out.of_node[static_cast<std::size_t>(j)] >= 0) continue;
        out.of_node[static_cast<std::size_t>(j)] = component;
        open.push_back(j);
      }
    }
  }
  return out;
}

}  // namespace ecseq::graph
