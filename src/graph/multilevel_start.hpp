#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/graph/laplacian.hpp"

namespace ecseq::graph {

/// An eigenproblem on groups of nodes: of L_c y = lambda M_c y, L_c the Laplacian of the contracted
/// graph and M_c the sums of the members' masses. It is the first problem on vectors that are
/// constant within groups, up to the square root of the masses.
struct CoarseProblem {
  std::vector<Index> parent;   // [nodes], the group of each
  SparseGraph graph;           // of the groups
  std::vector<double> masses;  // [groups]
};

/// Groups by heavy edges: every node, in their order, joins the free neighbour that it is tied to
/// most, or the group of the neighbour if none is free (Karypis and Kumar 1998, whose matching it
/// is but for what is left over). Nothing if the graph hardly gets smaller, as an expander.
std::optional<CoarseProblem> coarsen_problem(const Laplacian& laplacian, int threads);

/// The vectors of the coarse problem on the nodes, orthonormal if they were; x: [groups, columns].
Matrix<double> prolong(const Laplacian& laplacian, const CoarseProblem& coarse,
                       const Matrix<double>& x, int threads);

}  // namespace ecseq::graph
