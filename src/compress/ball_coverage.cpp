#include "ball_coverage.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "ecseq/core/parallel.hpp"
#include "ecseq/graph/range_search.hpp"
#include "influence.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kRows = 256;                        // searched at a time
constexpr Index kRound = 64 * kRows;                // between two reports of progress
constexpr auto kWords = kFoldWidth<std::uint64_t>;  // of bits, folded at a time
constexpr Index kBlock = 64 * kWords;               // the witnesses of those

}  // namespace

BallCoverage::BallCoverage(const graph::NormalizedAdjacency& adjacency, const Matrix<float>& smooth,
                           double radius, const std::vector<Index>& witnesses, int threads,
                           const ProgressCallback& progress)
    : n_witnesses_(static_cast<Index>(witnesses.size())),
      n_nodes_(smooth.rows()),
      uncovered_((witnesses.size() + kBlock - 1) / kBlock * kWords) {
  for (std::size_t w = 0; w < witnesses.size(); ++w) {
    uncovered_[w / 64] |= std::uint64_t{1} << (w % 64);
  }
  const graph::RangeSearch search(smooth, radius);
  std::vector<Index> rows(static_cast<std::size_t>(n_nodes_));
  std::iota(rows.begin(), rows.end(), Index{0});
  PagedArray<std::uint64_t> scratch;
  for (Index begin = 0; begin < n_witnesses_; begin += kBlock) {
    const graph::RangeSearch::Points block = search.points(
        {witnesses.begin() + begin, witnesses.begin() + std::min(n_witnesses_, begin + kBlock)});
    const Index words = block.words();
    PagedArray<std::uint64_t> cover(static_cast<std::size_t>(n_nodes_ * kWords));
    for (Index first = 0; first < n_nodes_; first += kRound) {
      report(progress, {"compress", begin, n_witnesses_, "balls"});
      parallel_chunks(
          std::min(kRound, n_nodes_ - first), kRows, threads, [&](Index from, Index to) {
            std::vector<std::uint64_t> bits(static_cast<std::size_t>((to - from) * words));
            search.within(block, rows.data() + first + from, to - from, bits.data());
            for (Index i = from; i < to; ++i) {
              std::copy_n(bits.data() + (i - from) * words, words,
                          cover.data() + (first + i) * kWords);
            }
          });
    }
    fold_influenced(
        adjacency, [](std::uint64_t& sum, std::uint64_t row) { sum |= row; }, threads, progress,
        cover, scratch);
    cover_.push_back(std::move(cover));
  }
}

double BallCoverage::gain(Index v) const {
  Index count = 0;
  for (std::size_t block = 0; block < cover_.size(); ++block) {
    const std::uint64_t* const cover = cover_[block].data() + v * kWords;
    const std::uint64_t* const uncovered = uncovered_.data() + block * kWords;
    for (Index w = 0; w < kWords; ++w) count += std::popcount(cover[w] & uncovered[w]);
  }
  return static_cast<double>(count) * nodes_per_witness();
}

double BallCoverage::choose(Index v) {
  const double gained = gain(v);
  for (std::size_t block = 0; block < cover_.size(); ++block) {
    const std::uint64_t* const cover = cover_[block].data() + v * kWords;
    std::uint64_t* const uncovered = uncovered_.data() + block * kWords;
    for (Index w = 0; w < kWords; ++w) uncovered[w] &= ~cover[w];
  }
  return gained;
}

}  // namespace ecseq::compress
