#include "nearest_chosen.hpp"

#include <algorithm>
#include <limits>

#include "ecseq/core/parallel.hpp"
#include "ecseq/core/squared_distance.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kChunk = 4096;

}  // namespace

NearestChosen::NearestChosen(MatrixView<float> x, int threads)
    : x_(x),
      threads_(threads),
      distance_(static_cast<std::size_t>(x.rows), std::numeric_limits<double>::infinity()),
      chunks_(static_cast<std::size_t>((x.rows + kChunk - 1) / kChunk)) {}

void NearestChosen::choose(Index chosen) {
  parallel_chunks(x_.rows, kChunk, threads_, [&](Index begin, Index end) {
    Chunk chunk{begin, 0.0};
    for (Index i = begin; i < end; ++i) {
      double& distance = distance_[static_cast<std::size_t>(i)];
      distance = std::min(distance, squared_distance(x_.row(i), x_.row(chosen), x_.cols));
      if (distance > distance_[static_cast<std::size_t>(chunk.farthest)]) chunk.farthest = i;
      chunk.sum += distance;
    }
    chunks_[static_cast<std::size_t>(begin / kChunk)] = chunk;
  });
}

Index NearestChosen::farthest() const {
  Index best = 0;
  for (const Chunk& chunk : chunks_) {
    if (distance_[static_cast<std::size_t>(chunk.farthest)] >
        distance_[static_cast<std::size_t>(best)]) {
      best = chunk.farthest;
    }
  }
  return best;
}

double NearestChosen::total() const {
  double sum = 0.0;
  for (const Chunk& chunk : chunks_) sum += chunk.sum;
  return sum;
}

Index NearestChosen::at(double target) const {
  std::size_t c = 0;
  for (; c + 1 < chunks_.size() && target >= chunks_[c].sum; ++c) target -= chunks_[c].sum;
  // Where rounding leaves a remainder at the end, the last row that can be drawn.
  Index last = farthest();
  const auto begin = static_cast<Index>(c) * kChunk;
  for (Index i = begin; i < std::min(begin + kChunk, x_.rows); ++i) {
    const double distance = distance_[static_cast<std::size_t>(i)];
    if (!(distance > 0.0)) continue;
    last = i;
    if (target < distance) break;
    target -= distance;
  }
  return last;
}

}  // namespace ecseq::compress
