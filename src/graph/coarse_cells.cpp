#include "coarse_cells.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ecseq/core/group_means.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/rng.hpp"

namespace ecseq::graph {
namespace {

constexpr Index kChunk = 1024;
constexpr Index kSamplePerCell = 32;
constexpr int kLloydSteps = 5;

std::vector<std::int64_t> assign(const Matrix<float>& centres, MatrixView<float> x, int threads) {
  const kernels::PackedDense points = kernels::pack_points(centres);
  std::vector<std::int64_t> cell(static_cast<std::size_t>(x.rows));
  parallel_chunks(x.rows, kChunk, threads, [&](Index begin, Index end) {
    std::vector<float> distance(static_cast<std::size_t>(end - begin));
    kernels::assign_nearest(points, x.row(begin), end - begin, cell.data() + begin,
                            distance.data());
  });
  return cell;
}

}  // namespace

CoarseCells::CoarseCells(const MetricSpace& space, std::uint64_t seed, int threads,
                         const ProgressCallback& progress) {
  const Matrix<float>& x = space.rows();
  const Index n = x.rows();
  const auto wanted = static_cast<Index>(2.0 * std::sqrt(static_cast<double>(n)));
  const Index size = std::clamp<Index>(wanted, 1, n);
  std::vector<Index> sample = Rng(seed).permutation(n);
  sample.resize(static_cast<std::size_t>(std::min(n, size * kSamplePerCell)));
  const Matrix<float> training = take_rows<float>(x, sample);
  centres_ = training.topRows(size);
  for (int step = 0; step < kLloydSteps; ++step) {
    report(progress, {"graph cells", step, kLloydSteps, ""});
    const std::vector<std::int64_t> cell = assign(centres_, training, threads);
    const auto [mean, count] = group_means(training, cell, size);
    for (Index c = 0; c < size; ++c) {
      if (count[static_cast<std::size_t>(c)] > 0.0) centres_.row(c) = mean.row(c).cast<float>();
    }
  }
  cell_ = assign(centres_, x, threads);
  members_.resize(static_cast<std::size_t>(size));
  for (Index i = 0; i < n; ++i) members_[static_cast<std::size_t>(cell_of(i))].push_back(i);
}

std::vector<Index> CoarseCells::nearest_cells(Index c) const {
  std::vector<std::pair<float, Index>> by_distance;
  for (Index other = 0; other < size(); ++other) {
    const float distance =
        other == c ? -1.0F : (centres_.row(other) - centres_.row(c)).squaredNorm();
    by_distance.emplace_back(distance, other);
  }
  std::sort(by_distance.begin(), by_distance.end());
  std::vector<Index> order;
  for (const auto& [distance, other] : by_distance) order.push_back(other);
  return order;
}

}  // namespace ecseq::graph
