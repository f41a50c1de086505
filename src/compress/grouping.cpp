#include "ecseq/compress/grouping.hpp"

#include <algorithm>
#include <string>

#include "chosen_rows.hpp"
#include "distinct_rows.hpp"
#include "ecseq/compress/nearest_representative.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/group_means.hpp"
#include "ecseq/core/sequences.hpp"

namespace ecseq::compress {
namespace {

/// The number of clusters, up to the last that is named.
Index validate(const Grouping& grouping, MatrixView<float> x) {
  if (static_cast<Index>(grouping.cluster.size()) != x.rows) {
    throw InvalidArgument("compressor: expected a cluster for each of the " +
                          std::to_string(x.rows) + " rows, got " +
                          std::to_string(grouping.cluster.size()));
  }
  const auto last = *std::max_element(grouping.cluster.begin(), grouping.cluster.end());
  if (last < 0) throw InvalidArgument("compressor: no row belongs to a cluster");
  const Matrix<float>& vectors = grouping.vectors;
  if (vectors.size() > 0) {
    if (vectors.rows() <= last || vectors.cols() != x.cols) {
      throw InvalidArgument("compressor: expected vectors of at least " + std::to_string(last + 1) +
                            " clusters and " + std::to_string(x.cols) + " columns, got [" +
                            std::to_string(vectors.rows()) + ", " + std::to_string(vectors.cols()) +
                            "]");
    }
    require_finite(vectors, "compressor: vectors");
    return vectors.rows();
  }
  if (last >= x.rows) {
    throw InvalidArgument("compressor: cluster " + std::to_string(last) + " of " +
                          std::to_string(x.rows) + " rows; clusters are numbered from 0");
  }
  return last + 1;
}

}  // namespace

Compression represent_grouping(MatrixView<float> x, MatrixView<float> labels,
                               const Grouping& grouping, Index n_cases, int num_threads) {
  const Index n_clusters = validate(grouping, x);
  const auto [means, counts] = group_means(x, grouping.cluster, n_clusters);
  const Matrix<float> vectors =
      grouping.vectors.size() > 0 ? grouping.vectors : Matrix<float>(means.cast<float>());

  // Clusters that have rows and vectors of their own keep their order.
  std::vector<Index> kept;
  std::vector<std::int64_t> number(static_cast<std::size_t>(n_clusters), -1);
  DistinctRows distinct(vectors);
  for (Index c = 0; c < n_clusters; ++c) {
    if (counts[static_cast<std::size_t>(c)] == 0.0) continue;
    const auto [first, is_new] = distinct.insert_or_find(c);
    auto& own = number[static_cast<std::size_t>(c)];
    own = is_new ? static_cast<std::int64_t>(kept.size()) : number[static_cast<std::size_t>(first)];
    if (is_new) kept.push_back(c);
  }
  Compression out;
  out.representatives.vectors = take_rows<float>(vectors, kept);
  out.assignment.resize(grouping.cluster.size());
  std::vector<Index> left_out;
  for (std::size_t i = 0; i < out.assignment.size(); ++i) {
    const auto c = grouping.cluster[i];
    if (c < 0) left_out.push_back(static_cast<Index>(i));
    if (c >= 0) out.assignment[i] = number[static_cast<std::size_t>(c)];
  }
  if (!left_out.empty()) {
    const auto nearest =
        nearest_representative(out.representatives.vectors, take_rows(x, left_out), num_threads);
    for (std::size_t i = 0; i < left_out.size(); ++i) {
      out.assignment[static_cast<std::size_t>(left_out[i])] = nearest[i];
    }
  }
  describe(out.representatives, x, labels, out.assignment, n_cases);
  out.report.objective = objective(out.representatives);
  out.report.points_used = x.rows - static_cast<Index>(left_out.size());
  return out;
}

}  // namespace ecseq::compress
