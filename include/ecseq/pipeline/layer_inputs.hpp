#pragma once

#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/relation/attachments.hpp"

namespace ecseq::pipeline {

/// What the relation layer sees of some targets.
struct LayerInputs {
  /// [n, width]: embedding and base outputs, what each relation says, side by side.
  Matrix<float> dense;
  /// Edges to the representatives, where their features are not yet averaged into `dense`: for
  /// every layer but one of GraphSAGE-mean, whose mean does not change while it trains.
  relation::Attachments attachments;
  /// [n, f]: the targets in the representatives' space, for layers whose nodes are of one kind.
  Matrix<float> node;

  Index size() const { return dense.rows(); }
};

/// The targets [begin, end).
inline LayerInputs slice(const LayerInputs& all, Index begin, Index end) {
  LayerInputs out;
  out.dense = all.dense.middleRows(begin, end - begin);
  if (all.attachments.size() > 0) out.attachments = relation::slice(all.attachments, begin, end);
  if (all.node.rows() > 0) out.node = all.node.middleRows(begin, end - begin);
  return out;
}

/// The targets of `first`, then those of `second`.
inline LayerInputs stack(const LayerInputs& first, const LayerInputs& second) {
  const auto stacked = [](const Matrix<float>& a, const Matrix<float>& b) {
    Matrix<float> out(a.rows() + b.rows(), a.cols());
    out.topRows(a.rows()) = a;
    out.bottomRows(b.rows()) = b;
    return out;
  };
  return {stacked(first.dense, second.dense),
          relation::stack(first.attachments, second.attachments), stacked(first.node, second.node)};
}

}  // namespace ecseq::pipeline
