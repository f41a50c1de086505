#pragma once

#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/relation/attachments.hpp"

namespace ecseq::pipeline {

/// The labels remembered of each target's entity, newest last, ragged.
struct RecentRows {
  Matrix<float> rows;             ///< [offsets[n], columns]
  std::vector<Index> offsets{0};  ///< [n + 1]
};

inline RecentRows slice(const RecentRows& all, Index begin, Index end) {
  RecentRows out;
  const Index first = all.offsets[static_cast<std::size_t>(begin)];
  const Index last = all.offsets[static_cast<std::size_t>(end)];
  out.rows = all.rows.middleRows(first, last - first);
  out.offsets.clear();
  for (Index t = begin; t <= end; ++t) {
    out.offsets.push_back(all.offsets[static_cast<std::size_t>(t)] - first);
  }
  return out;
}

inline RecentRows stack(const RecentRows& first, const RecentRows& second) {
  RecentRows out;
  out.rows.resize(first.rows.rows() + second.rows.rows(), first.rows.cols());
  out.rows.topRows(first.rows.rows()) = first.rows;
  out.rows.bottomRows(second.rows.rows()) = second.rows;
  out.offsets = first.offsets;
  for (std::size_t t = 1; t < second.offsets.size(); ++t) {
    out.offsets.push_back(first.rows.rows() + second.offsets[t]);
  }
  return out;
}

/// What entity relations say of some rows.
struct EntityBlocks {
  std::vector<Matrix<float>> facts;  ///< by relation [n, its columns of the dense inputs]
  std::vector<RecentRows> recent;    ///< of relations with a learned aggregation, in their order
};

/// What the relation layer sees of some targets.
struct LayerInputs {
  /// [n, width]: embedding and base outputs, what each relation says, side by side.
  Matrix<float> dense;
  /// Edges to the representatives, where their features are not yet averaged into `dense`: for
  /// every layer but one of GraphSAGE-mean, whose mean does not change while it trains.
  relation::Attachments attachments;
  Index isolated = 0;  ///< targets to which no representative was near enough
  /// [n, f]: the targets in the representatives' space, for layers whose nodes are of one kind.
  Matrix<float> node;
  /// Of every entity relation whose remembered labels a layer aggregates.
  std::vector<RecentRows> recent;

  Index size() const { return dense.rows(); }
};

/// The targets [begin, end).
inline LayerInputs slice(const LayerInputs& all, Index begin, Index end) {
  LayerInputs out;
  out.dense = all.dense.middleRows(begin, end - begin);
  if (all.attachments.size() > 0) out.attachments = relation::slice(all.attachments, begin, end);
  if (all.node.rows() > 0) out.node = all.node.middleRows(begin, end - begin);
  for (const RecentRows& recent : all.recent) out.recent.push_back(slice(recent, begin, end));
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
  LayerInputs out{stacked(first.dense, second.dense),
                  relation::stack(first.attachments, second.attachments),
                  first.isolated + second.isolated,
                  stacked(first.node, second.node),
                  {}};
  for (std::size_t e = 0; e < first.recent.size(); ++e) {
    out.recent.push_back(stack(first.recent[e], second.recent[e]));
  }
  return out;
}

}  // namespace ecseq::pipeline
