#include "sort_edges.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <utility>

#include "ecseq/core/parallel.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kBucket = 1 << 14;   // edges of a bucket, more or less
constexpr Index kMost = 1 << 12;     // buckets
constexpr std::size_t kSample = 32;  // edges of a bucket that are looked at to find its bounds
constexpr Index kChunk = 1 << 17;    // edges dealt by one task
constexpr Index kRound = 8;          // tasks between two breaths

/// Integers in the order of the costs, -0 beside 0.
std::uint64_t sort_key(double cost) {
  const auto bits = std::bit_cast<std::uint64_t>(cost + 0.0);
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

/// Sorts `from` into `to`, of the same length, by digits of the costs from the lowest on (radix
/// sort). Both are written.
void sort_bucket(std::span<CandidateEdge> from, std::span<CandidateEdge> to) {
  constexpr int kBits = 11, kDigits = 6;  // 66 >= 64
  constexpr std::size_t kValues = std::size_t{1} << kBits;
  const auto digit = [](const CandidateEdge& edge, int d) {
    return static_cast<std::size_t>(sort_key(edge.cost) >> (kBits * d)) & (kValues - 1);
  };
  std::vector<std::array<std::uint32_t, kValues>> places(kDigits);
  for (const CandidateEdge& edge : from) {
    for (int d = 0; d < kDigits; ++d) ++places[static_cast<std::size_t>(d)][digit(edge, d)];
  }
  std::span<CandidateEdge> source = from, target = to;
  for (int d = 0; d < kDigits; ++d) {
    auto& place = places[static_cast<std::size_t>(d)];
    // A digit that all have alike, as the high ones mostly are, moves nothing.
    if (from.empty() || place[digit(source.front(), d)] == from.size()) continue;
    std::uint32_t sum = 0;
    for (auto& p : place) sum += std::exchange(p, sum);
    for (const CandidateEdge& edge : source) target[place[digit(edge, d)]++] = edge;
    std::swap(source, target);
  }
  if (source.data() != to.data()) std::copy(source.begin(), source.end(), to.begin());
}

/// Which bucket a cost goes to: by a table of the leading bits of how far its key lies above the
/// lowest one of a sample, which takes a few instructions and no branch. Buckets increase with the
/// costs, and as many edges go to each as far as the sample and the table can tell them apart.
class Buckets {
 public:
  Buckets(const std::vector<CandidateEdge>& edges, std::size_t n_buckets) : of_step_(kSteps) {
    std::vector<std::uint64_t> sample;
    const std::size_t n_sampled = n_buckets * kSample;
    for (std::size_t s = 0; s < n_sampled; ++s) {
      sample.push_back(sort_key(edges[s * edges.size() / n_sampled].cost));
    }
    std::sort(sample.begin(), sample.end());
    lowest_ = sample.front();
    shift_ = std::max(0, static_cast<int>(std::bit_width(sample.back() - lowest_)) - kStepBits);
    for (std::size_t step = 0, below = 0; step < kSteps; ++step) {
      while (below < n_sampled && ((sample[below] - lowest_) >> shift_) < step) ++below;
      of_step_[step] = static_cast<std::uint16_t>(std::min(below / kSample, n_buckets - 1));
    }
  }

  std::size_t operator()(const CandidateEdge& edge) const {
    const std::uint64_t key = std::max(sort_key(edge.cost), lowest_);
    return of_step_[std::min((key - lowest_) >> shift_, kSteps - 1)];
  }

 private:
  static constexpr int kStepBits = 16;
  static constexpr std::uint64_t kSteps = std::uint64_t{1} << kStepBits;

  std::uint64_t lowest_;
  int shift_;
  std::vector<std::uint16_t> of_step_;  // [kSteps]
};

}  // namespace

void sort_edges(std::vector<CandidateEdge>& edges, PagedArray<CandidateEdge>& scratch, int threads,
                const std::function<void()>& breathe) {
  const auto size = static_cast<Index>(edges.size());
  if (scratch.size() < edges.size()) scratch = PagedArray<CandidateEdge>(edges.size());
  const std::span<CandidateEdge> dealt(scratch.data(), edges.size());
  const auto n_buckets = static_cast<std::size_t>(std::min((size + kBucket - 1) / kBucket, kMost));
  if (n_buckets < 2) {
    breathe();
    std::copy(edges.begin(), edges.end(), dealt.begin());
    return sort_bucket(dealt, edges);
  }
  const Buckets bucket(edges, n_buckets);
  const auto in_rounds = [&](Index tasks, const auto& task) {
    for (Index first = 0; first < tasks; first += kRound) {
      breathe();
      parallel_for(std::min(kRound, tasks - first), threads, [&](Index t) { task(first + t); });
    }
  };
  // Of each chunk, how many go to each bucket; then where the first of those goes.
  const Index n_chunks = (size + kChunk - 1) / kChunk;
  std::vector<std::vector<Index>> places(static_cast<std::size_t>(n_chunks),
                                         std::vector<Index>(n_buckets, 0));
  const auto chunk = [&](Index c) {
    return std::span(edges).subspan(static_cast<std::size_t>(c * kChunk),
                                    static_cast<std::size_t>(std::min(kChunk, size - c * kChunk)));
  };
  in_rounds(n_chunks, [&](Index c) {
    for (const CandidateEdge& edge : chunk(c)) ++places[static_cast<std::size_t>(c)][bucket(edge)];
  });
  std::vector<Index> begin(n_buckets + 1, size);
  Index sum = 0;
  for (std::size_t b = 0; b < n_buckets; ++b) {
    begin[b] = sum;
    for (auto& of_chunk : places) sum += std::exchange(of_chunk[b], sum);
  }
  in_rounds(n_chunks, [&](Index c) {
    auto& place = places[static_cast<std::size_t>(c)];
    for (const CandidateEdge& edge : chunk(c)) {
      dealt[static_cast<std::size_t>(place[bucket(edge)]++)] = edge;
    }
  });
  in_rounds(static_cast<Index>(n_buckets), [&](Index b) {
    const auto first = static_cast<std::size_t>(begin[static_cast<std::size_t>(b)]);
    const auto count = static_cast<std::size_t>(begin[static_cast<std::size_t>(b) + 1]) - first;
    sort_bucket(dealt.subspan(first, count), std::span(edges).subspan(first, count));
  });
}

}  // namespace ecseq::compress
