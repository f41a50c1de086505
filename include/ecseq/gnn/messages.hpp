#pragma once

#include <span>

#include "ecseq/autograd/tape.hpp"
#include "ecseq/core/matrix.hpp"

namespace ecseq::gnn {

/// What the targets of a graph layer hear: directed edges from sources (representatives) to
/// targets, by target, each with the features of its source. There are no edges between targets,
/// so what becomes of one never depends on the others. A target may have no edge.
template <class Scalar>
struct Messages {
  std::span<const Index> offsets;      ///< [targets + 1]: edge e goes to t if
                                       ///< offsets[t] <= e < offsets[t + 1]
  autograd::Variable<Scalar> rows;     ///< [edges, f], the sources' features
  autograd::Variable<Scalar> weights;  ///< [edges, 1], positive
};

}  // namespace ecseq::gnn
