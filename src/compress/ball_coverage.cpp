#include "ball_coverage.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "ecseq/core/parallel.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kRows = 256;                        // searched at a time
constexpr Index kRound = 64 * kRows;                // between two reports of progress
constexpr auto kWords = kFoldWidth<std::uint64_t>;  // of bits, folded at a time
constexpr Index kBlock = 64 * kWords;               // the witnesses of those

}  // namespace

BallCoverage::BallCoverage(const graph::NormalizedAdjacency& adjacency, const Matrix<float>& smooth,
                           double radius, std::vector<Index> witnesses, int threads,
                           const ProgressCallback& progress)
    : adjacency_(adjacency),
      search_(smooth, radius),
      witnesses_(std::move(witnesses)),
      threads_(threads),
      progress_(progress),
      uncovered_((witnesses_.size() + kBlock - 1) / kBlock * kWords),
      is_witness_(static_cast<std::size_t>(smooth.rows())),
      covered_(is_witness_.size()),
      reached_(is_witness_.size()),
      marks_(smooth.rows()) {
  for (std::size_t w = 0; w < witnesses_.size(); ++w) {
    uncovered_[w / 64] |= std::uint64_t{1} << (w % 64);
    is_witness_[static_cast<std::size_t>(witnesses_[w])] = 1;
  }
  cover_witnesses();
}

void BallCoverage::cover_witnesses() {
  const Index n = adjacency_.size();
  const auto n_witnesses = static_cast<Index>(witnesses_.size());
  std::vector<Index> rows(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) rows[static_cast<std::size_t>(i)] = i;
  std::vector<std::uint64_t> scratch;
  for (Index begin = 0; begin < n_witnesses; begin += kBlock) {
    const graph::RangeSearch::Points block = search_.points(
        {witnesses_.begin() + begin, witnesses_.begin() + std::min(n_witnesses, begin + kBlock)});
    const Index words = block.words();
    std::vector<std::uint64_t> cover(static_cast<std::size_t>(n * kWords));
    for (Index first = 0; first < n; first += kRound) {
      report(progress_, {"compress", begin, n_witnesses, "balls"});
      parallel_chunks(std::min(kRound, n - first), kRows, threads_, [&](Index from, Index to) {
        std::vector<std::uint64_t> bits(static_cast<std::size_t>((to - from) * words));
        search_.within(block, rows.data() + first + from, to - from, bits.data());
        for (Index i = from; i < to; ++i) {
          std::copy_n(bits.data() + (i - from) * words, words, cover.data() + (first + i) * kWords);
        }
      });
    }
    fold_influenced(
        adjacency_, [](std::uint64_t& sum, std::uint64_t row) { sum |= row; }, threads_, progress_,
        cover, scratch);
    cover_.push_back(std::move(cover));
  }
}

double BallCoverage::gain(Index v, Marks& marks) const {
  Index witnesses = 0;
  for (std::size_t block = 0; block < cover_.size(); ++block) {
    const std::uint64_t* const cover = cover_[block].data() + v * kWords;
    const std::uint64_t* const uncovered = uncovered_.data() + block * kWords;
    for (Index w = 0; w < kWords; ++w) witnesses += std::popcount(cover[w] & uncovered[w]);
  }
  if (exact()) return static_cast<double>(witnesses);
  Index influenced = 0;
  visit_influenced(adjacency_, v, marks, [&](Index u) {
    if (covered_[static_cast<std::size_t>(u)] != 0) return;
    ++influenced;
    witnesses -= is_witness_[static_cast<std::size_t>(u)];
  });
  return static_cast<double>(influenced) + static_cast<double>(witnesses) *
                                               static_cast<double>(covered_.size()) /
                                               static_cast<double>(witnesses_.size());
}

double BallCoverage::choose(Index v) {
  if (exact()) return static_cast<double>(cover_known(v));
  std::vector<Index> nodes;
  visit_influenced(adjacency_, v, marks_, [&](Index u) {
    if (std::exchange(reached_[static_cast<std::size_t>(u)], 1) == 0) nodes.push_back(u);
  });
  const Index count = cover_around(nodes);
  for (std::size_t w = 0; w < witnesses_.size(); ++w) {
    if (covered_[static_cast<std::size_t>(witnesses_[w])] != 0) {
      uncovered_[w / 64] &= ~(std::uint64_t{1} << (w % 64));
    }
  }
  return static_cast<double>(count);
}

Index BallCoverage::cover_known(Index v) {
  Index count = 0;
  for (std::size_t block = 0; block < cover_.size(); ++block) {
    const std::uint64_t* const cover = cover_[block].data() + v * kWords;
    std::uint64_t* const uncovered = uncovered_.data() + block * kWords;
    for (Index w = 0; w < kWords; ++w) {
      count += std::popcount(cover[w] & uncovered[w]);
      uncovered[w] &= ~cover[w];
    }
  }
  return count;
}

Index BallCoverage::cover_around(const std::vector<Index>& nodes) {
  const auto n = static_cast<Index>(covered_.size());
  std::vector<Index> counts(static_cast<std::size_t>((n + kRound - 1) / kRound));
  // Few nodes at a time, so that what one of them covers is not searched again for the next.
  for (std::size_t begin = 0; begin < nodes.size(); begin += kRows) {
    report(progress_,
           {"compress", static_cast<Index>(begin), static_cast<Index>(nodes.size()), "covered"});
    const auto end = std::min(nodes.size(), begin + static_cast<std::size_t>(kRows));
    const graph::RangeSearch::Points centres =
        search_.points({nodes.begin() + static_cast<std::ptrdiff_t>(begin),
                        nodes.begin() + static_cast<std::ptrdiff_t>(end)});
    const auto words = static_cast<std::size_t>(centres.words());
    parallel_chunks(n, kRound, threads_, [&](Index first, Index last) {
      std::vector<Index> rows;
      std::vector<std::uint64_t> bits(kRows * words);
      const auto search = [&] {
        search_.within(centres, rows.data(), static_cast<Index>(rows.size()), bits.data());
        for (std::size_t q = 0; q < rows.size(); ++q) {
          const auto* const own = bits.data() + q * words;
          if (std::all_of(own, own + words, [](std::uint64_t word) { return word == 0; })) continue;
          covered_[static_cast<std::size_t>(rows[q])] = 1;
          ++counts[static_cast<std::size_t>(first / kRound)];
        }
        rows.clear();
      };
      for (Index i = first; i < last; ++i) {
        if (covered_[static_cast<std::size_t>(i)] == 0) rows.push_back(i);
        if (rows.size() == kRows) search();
      }
      if (!rows.empty()) search();
    });
  }
  Index count = 0;
  for (const Index part : counts) count += part;
  return count;
}

}  // namespace ecseq::compress
