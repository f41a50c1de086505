#include "rows_by_panel.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "centroid_panels.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/kernels/panel_scores.hpp"
#include "runs.hpp"

namespace ecseq::compress {
namespace {

using kernels::kPanelRows;

constexpr Index kChunk = 1024, kWidth = kernels::kLanes<float>;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// visit(n, point, score) for the nearest point of panel p of each listed row, the n-th.
template <class Visit>
void visit_nearest(const kernels::PackedDense& points, Index p, const float* const* rows,
                   Index count, const Visit& visit) {
  const float* tile[kPanelRows];
  const Index last = points.out() - 1;  // where scores overflow, a place behind it may win
  for (Index first = 0; first < count; first += kPanelRows) {
    const int size = static_cast<int>(std::min<Index>(kPanelRows, count - first));
    for (int n = 0; n < kPanelRows; ++n) tile[n] = rows[first + std::min(n, size - 1)];
    kernels::PanelScores scores;
    kernels::score_panel(points, p, tile, size, scores);
    for (int n = 0; n < size; ++n) {
      const Index point = std::min(p * kWidth + kernels::find_winner(scores, n).lane, last);
      visit(first + n, static_cast<std::int32_t>(point), scores.highest[n]);
    }
  }
}

/// The number of the nearest mean of each row.
std::vector<std::int32_t> nearest_means(const kernels::PackedDense& means,
                                        const std::vector<const float*>& rows) {
  std::vector<float> best(rows.size(), std::numeric_limits<float>::lowest());
  std::vector<std::int32_t> nearest(rows.size(), 0);
  for (Index p = 0; p * kWidth < means.out(); ++p) {
    const auto keep_best = [&](Index n, std::int32_t mean, float score) {
      if (!(score > best[at(n)])) return;
      best[at(n)] = score;
      nearest[at(n)] = mean;
    };
    visit_nearest(means, p, rows.data(), static_cast<Index>(rows.size()), keep_best);
  }
  return nearest;
}

Matrix<float> means_of_panels(const Matrix<float>& centroids) {
  Matrix<float> means((centroids.rows() + kWidth - 1) / kWidth, centroids.cols());
  for (Index p = 0; p < means.rows(); ++p) {
    const Index first = p * kWidth, count = std::min(kWidth, centroids.rows() - first);
    means.row(p) = centroids.middleRows(first, count).colwise().mean();
  }
  return means;
}

}  // namespace

std::vector<Index> rows_by_panel(MatrixView<float> x, MatrixView<float> centroids, int threads) {
  const Matrix<float> ordered = take_rows(centroids, order_in_panels(centroids, kWidth));
  const Matrix<float> means = means_of_panels(ordered);
  const kernels::PackedDense points = kernels::pack_points(ordered);
  const kernels::PackedDense mean_points = kernels::pack_points(means);
  std::vector<std::int32_t> place(at(x.rows));
  parallel_chunks(x.rows, kChunk, threads, [&](Index begin, Index end) {
    const Index count = end - begin;
    std::vector<const float*> rows(at(count));
    for (Index i = 0; i < count; ++i) rows[at(i)] = x.row(begin + i);
    const std::vector<std::int32_t> panel = nearest_means(mean_points, rows);
    const Runs<Index> by_panel = runs_of<Index>(panel, means.rows());
    for (Index n = 0; n < count; ++n) rows[at(n)] = x.row(begin + by_panel.places[at(n)]);
    for (Index p = 0; p < means.rows(); ++p) {
      const Index first = by_panel.starts[at(p)], size = by_panel.starts[at(p + 1)] - first;
      const auto keep = [&](Index n, std::int32_t point, float) {
        place[at(begin + by_panel.places[at(first + n)])] = point;
      };
      visit_nearest(points, p, rows.data() + first, size, keep);
    }
  });
  return runs_of<Index>(place, centroids.rows).places;
}

}  // namespace ecseq::compress
