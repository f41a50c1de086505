#include "ecseq/compress/running_means.hpp"

#include <string>
#include <utility>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/sequences.hpp"
#include "ecseq/kernels/nearest.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kChunk = 1024;

void require_shape(const char* name, MatrixView<float> matrix, Index rows, Index cols) {
  if (matrix.rows == rows && matrix.cols == cols) return;
  throw InvalidArgument(std::string(name) + ": expected [" + std::to_string(rows) + ", " +
                        std::to_string(cols) + "], got [" + std::to_string(matrix.rows) + ", " +
                        std::to_string(matrix.cols) + "]");
}

}  // namespace

RunningMeans::RunningMeans(Representatives start)
    : representatives_(std::move(start)), means_(representatives_.vectors.cast<double>()) {
  for (std::size_t j = 0; j < representatives_.mass.size(); ++j) {
    squares_.push_back(representatives_.spread[j] * representatives_.mass[j]);
  }
}

std::vector<std::int64_t> RunningMeans::partial_fit(MatrixView<float> x, MatrixView<float> labels,
                                                    int num_threads) {
  require_shape("X", x, x.rows, means_.cols());
  require_shape("labels", labels, x.rows, representatives_.label_sums.cols());
  require_finite(x, "X");
  require_finite(labels, "labels");
  const kernels::PackedDense points = kernels::pack_points(representatives_.vectors);
  std::vector<std::int64_t> assignment(static_cast<std::size_t>(x.rows));
  parallel_chunks(x.rows, kChunk, num_threads, [&](Index begin, Index end) {
    std::vector<float> distance(static_cast<std::size_t>(end - begin));
    kernels::assign_nearest(points, x.row(begin), end - begin, assignment.data() + begin,
                            distance.data());
  });
  for (Index i = 0; i < x.rows; ++i) {
    const Index j = assignment[static_cast<std::size_t>(i)];
    const auto at = static_cast<std::size_t>(j);
    representatives_.mass[at] += 1.0;
    // mean += (x - mean) / n; squares += (x - old mean) . (x - new mean)  (Welford, 1962)
    for (Index k = 0; k < x.cols; ++k) {
      double& mean = means_(j, k);
      const double difference = x(i, k) - mean;
      mean += difference / representatives_.mass[at];
      squares_[at] += difference * (x(i, k) - mean);
    }
    for (Index c = 0; c < labels.cols; ++c) representatives_.label_sums(j, c) += labels(i, c);
  }
  representatives_.vectors = means_.cast<float>();
  for (std::size_t j = 0; j < squares_.size(); ++j) {
    representatives_.spread[j] =
        representatives_.mass[j] > 0.0 ? squares_[j] / representatives_.mass[j] : 0.0;
  }
  return assignment;
}

}  // namespace ecseq::compress
