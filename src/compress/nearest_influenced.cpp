#include "nearest_influenced.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "ecseq/core/parallel.hpp"
#include "ecseq/kernels/vec.hpp"

namespace ecseq::compress {
namespace {

using Distance = std::uint16_t;  // in steps of the scale / kFarthest
constexpr Distance kFarthest = 65'535;

constexpr Index kRows = 256;                    // a task
constexpr Index kRound = 64 * kRows;            // between two reports of progress
constexpr Index kBlock = kFoldWidth<Distance>;  // witnesses whose distances are folded at a time
constexpr std::size_t kAhead = 3;               // blocks

/// Distances of x from kBlock points. In explicit vectors: the bits of an expression depend on
/// where its result lies in memory. points: [h, kBlock]; x: [h]; inverse_scale: 1 / scale; out:
/// [kBlock]
void scaled_distances(const Matrix<float>& points, const float* x, float inverse_scale,
                      Distance* out) {
  using kernels::Vec;
  constexpr Index kLanes = kernels::kLanes<float>;
  static_assert(kBlock % kLanes == 0);
  float squares[kBlock];
  for (Index w = 0; w < kBlock; w += kLanes) {
    Vec<float> sum{};
    for (Index k = 0; k < points.rows(); ++k) {
      const Vec<float> difference =
          kernels::load(points.row(k).data() + w) - kernels::broadcast(x[k]);
      sum = kernels::fma(difference, difference, sum);
    }
    kernels::store(squares + w, sum);
  }
  for (Index w = 0; w < kBlock; ++w) {
    const float distance = std::min(1.0F, std::sqrt(squares[w]) * inverse_scale);
    out[w] = static_cast<Distance>(distance * kFarthest + 0.5F);
  }
}

}  // namespace

NearestInfluenced::NearestInfluenced(const graph::NormalizedAdjacency& adjacency,
                                     const Matrix<float>& smooth, double scale,
                                     const std::vector<Index>& witnesses, int threads,
                                     const ProgressCallback& progress)
    : adjacency_(adjacency),
      n_witnesses_(static_cast<double>(witnesses.size())),
      nearest_(witnesses.size(), kFarthest),
      reached_(static_cast<std::size_t>(smooth.rows())),
      fresh_(reached_.size()),
      marks_(smooth.rows()) {
  const Index n = smooth.rows();
  const auto inverse = static_cast<float>(scale > 0.0 ? 1.0 / scale : 0.0);
  const auto m = static_cast<Index>(witnesses.size());
  PagedArray<Distance> scratch;
  for (Index begin = 0; begin < m; begin += kBlock) {
    const Index width = std::min(kBlock, m - begin);
    const std::vector<Index> part(witnesses.begin() + begin, witnesses.begin() + begin + width);
    Matrix<float> points = Matrix<float>::Zero(smooth.cols(), kBlock);
    points.leftCols(width) = take_rows<float>(smooth, part).transpose();
    PagedArray<Distance> block(static_cast<std::size_t>(n * kBlock));
    for (Index first = 0; first < n; first += kRound) {
      report(progress, {"compress", begin, m, "distances"});
      parallel_chunks(std::min(kRound, n - first), kRows, threads, [&](Index from, Index to) {
        for (Index i = first + from; i < first + to; ++i) {
          Distance* const out = block.data() + i * kBlock;
          scaled_distances(points, smooth.row(i).data(), inverse, out);
          std::fill(out + width, out + kBlock, Distance{0});
        }
      });
    }
    fold_influenced(
        adjacency, [](Distance& least, Distance d) { least = std::min(least, d); }, threads,
        progress, block, scratch);
    distance_.push_back(std::move(block));
  }
  nearest_.resize(distance_.size() * kBlock);
  std::vector<Marks> marks(static_cast<std::size_t>(threads), marks_);
  for (Index first = 0; first < n; first += kRound) {
    report(progress, {"compress", first, n, "influence"});
    const Index nodes = std::min(kRound, n - first), part = (nodes + threads - 1) / threads;
    parallel_for(threads, threads, [&](Index t) {
      const Index end = first + std::min(nodes, (t + 1) * part);
      for (Index v = first + t * part; v < end; ++v) {
        fetch_influenced(adjacency, std::min(v + 1, end - 1));
        visit_influenced(adjacency, v, marks[static_cast<std::size_t>(t)],
                         [&](Index) { ++fresh_[static_cast<std::size_t>(v)]; });
      }
    });
  }
}

double NearestInfluenced::gain(Index v) const {
  std::uint64_t nearer = 0;
  for (std::size_t block = 0; block < distance_.size(); ++block) {
    const Distance* const distance = distance_[block].data() + v * kBlock;
    const Distance* const nearest = nearest_.data() + block * kBlock;
    // Of each block a few lines, far from the last: asked for before their turn.
    const std::size_t soon = std::min(block + kAhead, distance_.size() - 1);
    for (Index w = 0; w < kBlock; w += kBlock / 4) {
      __builtin_prefetch(distance_[soon].data() + v * kBlock + w);
    }
    std::uint32_t sum = 0;
    for (Index w = 0; w < kBlock; ++w) {
      sum += static_cast<std::uint32_t>(std::max(nearest[w], distance[w]) - distance[w]);
    }
    nearer += sum;
  }
  return static_cast<double>(fresh_[static_cast<std::size_t>(v)]) /
             static_cast<double>(reached_.size()) +
         static_cast<double>(nearer) / kFarthest / n_witnesses_;
}

double NearestInfluenced::choose(Index v) {
  const double added = gain(v);
  std::vector<Index> newly;
  visit_influenced(adjacency_, v, marks_, [&](Index u) {
    if (std::exchange(reached_[static_cast<std::size_t>(u)], 1) == 0) newly.push_back(u);
  });
  // Who influences u is whom u influences. Once for each u: no gain has to look for it again.
  for (std::size_t i = 0; i < newly.size(); ++i) {
    fetch_influenced(adjacency_, newly[std::min(i + 1, newly.size() - 1)]);
    visit_influenced(adjacency_, newly[i], marks_,
                     [&](Index w) { --fresh_[static_cast<std::size_t>(w)]; });
  }
  for (std::size_t block = 0; block < distance_.size(); ++block) {
    const Distance* const distance = distance_[block].data() + v * kBlock;
    Distance* const nearest = nearest_.data() + block * kBlock;
    for (Index w = 0; w < kBlock; ++w) nearest[w] = std::min(nearest[w], distance[w]);
  }
  return added;
}

}  // namespace ecseq::compress
