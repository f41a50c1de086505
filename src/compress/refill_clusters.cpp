#include "refill_clusters.hpp"

#include <algorithm>
#include <utility>

#include "distinct_rows.hpp"
#include "ecseq/core/group_means.hpp"

namespace ecseq::compress {
namespace {

/// After so many rounds rows go to the refilled cluster by hand: rows that are almost equal may
/// have equal scores, and `assign` would empty it again.
constexpr int kAssignedRounds = 10;

std::vector<Index> empty_clusters(const std::vector<std::int64_t>& assignment, Index k) {
  std::vector<bool> has_members(static_cast<std::size_t>(k), false);
  for (const auto label : assignment) has_members[static_cast<std::size_t>(label)] = true;
  std::vector<Index> empty;
  for (Index j = 0; j < k; ++j) {
    if (!has_members[static_cast<std::size_t>(j)]) empty.push_back(j);
  }
  return empty;
}

/// The farthest row of each cluster of two values or more, farthest first.
std::vector<Index> rows_to_give(MatrixView<float> x, const Matrix<float>& centroids,
                                const std::vector<std::int64_t>& assignment,
                                const DistinctRows& values) {
  struct Cluster {
    Index first = -1, farthest = -1;
    double distance = 0.0;
    bool mixed = false;
  };
  std::vector<Cluster> clusters(static_cast<std::size_t>(centroids.rows()));
  for (Index i = 0; i < x.rows; ++i) {
    const auto label = assignment[static_cast<std::size_t>(i)];
    Cluster& cluster = clusters[static_cast<std::size_t>(label)];
    const double distance =
        (x.eigen().row(i).cast<double>() - centroids.row(label).cast<double>()).squaredNorm();
    if (cluster.first < 0) cluster.first = i;
    cluster.mixed = cluster.mixed || !values.equal(cluster.first, i);
    if (cluster.farthest < 0 || distance > cluster.distance) {
      cluster.farthest = i;
      cluster.distance = distance;
    }
  }
  std::vector<std::pair<double, Index>> candidates;
  for (const Cluster& cluster : clusters) {
    if (cluster.mixed) candidates.emplace_back(-cluster.distance, cluster.farthest);
  }
  std::sort(candidates.begin(), candidates.end());
  std::vector<Index> rows;
  for (const auto& [distance, row] : candidates) rows.push_back(row);
  return rows;
}

/// One Lloyd step, for the clusters that gave and took rows; taken back if it empties a cluster.
void settle(MatrixView<float> x, Matrix<float>& centroids, std::vector<std::int64_t>& assignment,
            std::vector<float>& distances, const std::function<void()>& assign) {
  const Matrix<float> centroids_before = centroids;
  const std::vector<std::int64_t> assignment_before = assignment;
  const std::vector<float> distances_before = distances;
  centroids = group_means(x, assignment, centroids.rows()).means.cast<float>();
  assign();
  if (empty_clusters(assignment, centroids.rows()).empty()) return;
  centroids = centroids_before;
  assignment = assignment_before;
  distances = distances_before;
}

}  // namespace

void refill_empty_clusters(MatrixView<float> x, Matrix<float>& centroids,
                           std::vector<std::int64_t>& assignment, std::vector<float>& distances,
                           const std::function<void()>& assign) {
  std::vector<Index> empty = empty_clusters(assignment, centroids.rows());
  if (empty.empty()) return;
  const DistinctRows values(x);
  for (int round = 0; !empty.empty(); ++round) {
    const std::vector<Index> rows = rows_to_give(x, centroids, assignment, values);
    // x has K distinct rows, so while a cluster is empty another has two values.
    const std::size_t filled = std::min(rows.size(), empty.size());
    for (std::size_t e = 0; e < filled; ++e) {
      centroids.row(empty[e]) = x.eigen().row(rows[e]);
      if (round < kAssignedRounds) continue;
      const auto giver = assignment[static_cast<std::size_t>(rows[e])];
      for (Index i = 0; i < x.rows; ++i) {
        const auto at = static_cast<std::size_t>(i);
        if (assignment[at] != giver || !values.equal(i, rows[e])) continue;
        assignment[at] = empty[e];
        distances[at] = 0.0F;
      }
    }
    if (round < kAssignedRounds) assign();
    empty = empty_clusters(assignment, centroids.rows());
  }
  settle(x, centroids, assignment, distances, assign);
}

}  // namespace ecseq::compress
