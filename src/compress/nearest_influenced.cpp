#include "nearest_influenced.hpp"

#include <algorithm>
#include <cmath>

#include "ecseq/core/parallel.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kRows = 256;                 // a task
constexpr Index kRound = 64 * kRows;         // between two reports of progress
constexpr Index kBlock = kFoldWidth<float>;  // witnesses whose distances are folded at a time

}  // namespace

NearestInfluenced::NearestInfluenced(const graph::NormalizedAdjacency& adjacency,
                                     const Matrix<float>& smooth, double scale,
                                     const std::vector<Index>& witnesses, int threads,
                                     const ProgressCallback& progress)
    : adjacency_(adjacency),
      n_witnesses_(static_cast<double>(witnesses.size())),
      nearest_(witnesses.size(), 1.0F),
      reached_(static_cast<std::size_t>(smooth.rows())),
      marks_(smooth.rows()) {
  const Index n = smooth.rows();
  const auto inverse = static_cast<float>(scale > 0.0 ? 1.0 / scale : 0.0);
  const auto m = static_cast<Index>(witnesses.size());
  std::vector<float> scratch;
  for (Index begin = 0; begin < m; begin += kBlock) {
    const Index width = std::min(kBlock, m - begin);
    const std::vector<Index> part(witnesses.begin() + begin, witnesses.begin() + begin + width);
    const Matrix<float> points = take_rows<float>(smooth, part).transpose();  // [h, width]
    std::vector<float> block(static_cast<std::size_t>(n * kBlock));
    for (Index first = 0; first < n; first += kRound) {
      report(progress, {"compress", begin, m, "distances"});
      parallel_chunks(std::min(kRound, n - first), kRows, threads, [&](Index from, Index to) {
        for (Index i = first + from; i < first + to; ++i) {
          Eigen::Map<Eigen::Array<float, 1, Eigen::Dynamic>> out(block.data() + i * kBlock, width);
          for (Index k = 0; k < points.rows(); ++k) {
            out += (points.row(k).array() - smooth(i, k)).square();
          }
          out = (out.sqrt() * inverse).min(1.0F);
        }
      });
    }
    fold_influenced(
        adjacency, [](float& least, float d) { least = std::min(least, d); }, threads, progress,
        block, scratch);
    distance_.push_back(std::move(block));
  }
  nearest_.resize(distance_.size() * kBlock);
}

double NearestInfluenced::gain(Index v, Marks& marks) const {
  Index influenced = 0;
  visit_influenced(adjacency_, v, marks, [&](Index u) {
    influenced += static_cast<Index>(reached_[static_cast<std::size_t>(u)] == 0);
  });
  double nearer = 0.0;
  for (std::size_t block = 0; block < distance_.size(); ++block) {
    const float* const distance = distance_[block].data() + v * kBlock;
    const float* const nearest = nearest_.data() + block * kBlock;
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
  return static_cast<double>(influenced) / static_cast<double>(reached_.size()) +
         nearer / n_witnesses_;
}

double NearestInfluenced::choose(Index v) {
  const double added = gain(v, marks_);
  visit_influenced(adjacency_, v, marks_,
                   [&](Index u) { reached_[static_cast<std::size_t>(u)] = 1; });
  for (std::size_t block = 0; block < distance_.size(); ++block) {
    const float* const distance = distance_[block].data() + v * kBlock;
    float* const nearest = nearest_.data() + block * kBlock;
    for (Index w = 0; w < kBlock; ++w) nearest[w] = std::min(nearest[w], distance[w]);
  }
  return added;
}

}  // namespace ecseq::compress
