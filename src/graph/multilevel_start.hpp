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
/// An edge joins nobody if w_ij (1 / m_i + 1 / m_j), the quotient of the vector that it alone
/// keeps from being constant, is less than `least`: a node that hangs by a thread would else be
/// merged at once, and the eigenvector that sets it apart be missing from every coarser problem.
std::optional<CoarseProblem> coarsen_problem(const Laplacian& laplacian, double least, int threads);

/// The count-th smallest d_i / m_i of nodes with edges. These are the quotients of vectors on one
/// node each, and L is at most twice their diagonal matrix: `count` eigenvalues are at most 2
/// low_end(laplacian, count), zeros among them.
double low_end(const Laplacian& laplacian, Index count);

/// The vectors of the coarse problem on the nodes, orthonormal if they were; x: [groups, columns].
Matrix<double> prolong(const Laplacian& laplacian, const CoarseProblem& coarse,
                       const Matrix<double>& x, int threads);

}  // namespace ecseq::graph
