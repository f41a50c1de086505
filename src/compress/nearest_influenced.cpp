#include "nearest_influenced.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ecseq/core/parallel.hpp"
#include "ecseq/kernels/vec.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kRows = 256;                 // a task
constexpr Index kRound = 64 * kRows;         // between two reports of progress
constexpr Index kBlock = kFoldWidth<float>;  // witnesses whose distances are folded at a time
constexpr std::size_t kAhead = 3;            // blocks

/// Distances of x from kBlock points, divided by the scale, at most 1. In explicit vectors: the
/// bits of an expression depend on where its result lies in memory. points: [h, kBlock]; x: [h];
/// out: [kBlock]
void scaled_distances(const Matrix<float>& points, const float* x, float inverse_scale,
                      float* out) {
  using kernels::Vec;
  constexpr Index kLanes = kernels::kLanes<float>;
  static_assert(kBlock % kLanes == 0);
  for (Index w = 0; w < kBlock; w += kLanes) {
    Vec<float> sum{};
    for (Index k = 0; k < points.rows(); ++k) {
      const Vec<float> difference =
          kernels::load(points.row(k).data() + w) - kernels::broadcast(x[k]);
      sum = kernels::fma(difference, difference, sum);
    }
    kernels::store(out + w, sum);
  }
  for (Index w = 0; w < kBlock; ++w) out[w] = std::min(1.0F, std::sqrt(out[w]) * inverse_scale);
}

}  // namespace

NearestInfluenced::NearestInfluenced(const graph::NormalizedAdjacency& adjacency,
                                     const Matrix<float>& smooth, double scale,
                                     const std::vector<Index>& witnesses, int threads,
                                     const ProgressCallback& progress)
    : adjacency_(adjacency),
      n_witnesses_(static_cast<double>(witnesses.size())),
      nearest_(witnesses.size(), 1.0F),
      reached_(static_cast<std::size_t>(smooth.rows())),
      fresh_(reached_.size()),
      marks_(smooth.rows()) {
  const Index n = smooth.rows();
  const auto inverse = static_cast<float>(scale > 0.0 ? 1.0 / scale : 0.0);
  const auto m = static_cast<Index>(witnesses.size());
  std::vector<float> scratch;
  for (Index begin = 0; begin < m; begin += kBlock) {
    const Index width = std::min(kBlock, m - begin);
    const std::vector<Index> part(witnesses.begin() + begin, witnesses.begin() + begin + width);
    Matrix<float> points = Matrix<float>::Zero(smooth.cols(), kBlock);
    points.leftCols(width) = take_rows<float>(smooth, part).transpose();
    std::vector<float> block(static_cast<std::size_t>(n * kBlock));
    for (Index first = 0; first < n; first += kRound) {
      report(progress, {"compress", begin, m, "distances"});
      parallel_chunks(std::min(kRound, n - first), kRows, threads, [&](Index from, Index to) {
        for (Index i = first + from; i < first + to; ++i) {
          float* const out = block.data() + i * kBlock;
          scaled_distances(points, smooth.row(i).data(), inverse, out);
          std::fill(out + width, out + kBlock, 0.0F);
        }
      });
    }
    fold_influenced(
        adjacency, [](float& least, float d) { least = std::min(least, d); }, threads, progress,
        block, scratch);
    distance_.push_back(std::move(block));
  }
  nearest_.resize(distance_.size() * kBlock);
  std::vector<Marks> marks(static_cast<std::size_t>(threads), marks_);
  for (Index first = 0; first < n; first += kRound) {
    report(progress, {"compress", first, n, "influence"});
    const Index nodes = std::min(kRound, n - first), part = (nodes + threads - 1) / threads;
    parallel_for(threads, threads, [&](Index t) {
      for (Index v = first + t * part; v < first + std::min(nodes, (t + 1) * part); ++v) {
        visit_influenced(adjacency, v, marks[static_cast<std::size_t>(t)],
                         [&](Index) { ++fresh_[static_cast<std::size_t>(v)]; });
      }
    });
  }
}

double NearestInfluenced::gain(Index v) const {
  double nearer = 0.0;
  for (std::size_t block = 0; block < distance_.size(); ++block) {
    const float* const distance = distance_[block].data() + v * kBlock;
    const float* const nearest = nearest_.data() + block * kBlock;
    // Of each block a few lines, far from the last: asked for before their turn.
    const std::size_t soon = std::min(block + kAhead, distance_.size() - 1);
    for (Index w = 0; w < kBlock; w += kBlock / 4) {
      __builtin_prefetch(distance_[soon].data() + v * kBlock + w);
    }
    // In parts, which the compiler may add up side by side.
    constexpr Index kParts = 16;
    double parts[kParts] = {};
    for (Index w = 0; w < kBlock; w += kParts) {
      for (Index p = 0; p < kParts; ++p) {
        parts[p] += std::max(0.0F, nearest[w + p] - distance[w + p]);
      }
    }
    for (const double part : parts) nearer += part;
  }
  return static_cast<double>(fresh_[static_cast<std::size_t>(v)]) /
             static_cast<double>(reached_.size()) +
         nearer / n_witnesses_;
}

double NearestInfluenced::choose(Index v) {
  const double added = gain(v);
  std::vector<Index> newly;
  visit_influenced(adjacency_, v, marks_, [&](Index u) {
    if (std::exchange(reached_[static_cast<std::size_t>(u)], 1) == 0) newly.push_back(u);
  });
  // Who influences u is whom u influences. Once for each u: no gain has to look for it again.
  for (const Index u : newly) {
    visit_influenced(adjacency_, u, marks_,
                     [&](Index w) { --fresh_[static_cast<std::size_t>(w)]; });
  }
  for (std::size_t block = 0; block < distance_.size(); ++block) {
    const float* const distance = distance_[block].data() + v * kBlock;
    float* const nearest = nearest_.data() + block * kBlock;
    for (Index w = 0; w < kBlock; ++w) nearest[w] = std::min(nearest[w], distance[w]);
  }
  return added;
}

}  // namespace ecseq::compress
