#include "greedy.hpp"

#include <algorithm>
#include <queue>

#include "ecseq/core/parallel.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kRound = 32768;  // evaluations between two reports of progress
constexpr std::size_t kBatch =
    4096;  // at most so many at a time, of which the last are for nothing

struct Candidate {
  double gain = 0.0;  ///< when it was evaluated: an upper bound later on
  Index node = 0;
  Index chosen_before = 0;
  /// Of lower rank: the queue gives the highest gain first and the lower node on ties.
  bool operator<(const Candidate& other) const {
    return gain != other.gain ? gain < other.gain : node > other.node;
  }
};

/// Evaluates candidates on all threads.
void evaluate(const GreedyObjective& objective, int threads, Candidate* candidates, Index n,
              Index n_chosen) {
  constexpr Index kChunk = 64;
  parallel_chunks(n, kChunk, threads, [&](Index begin, Index end) {
    for (Index c = begin; c < end; ++c) {
      candidates[c].gain = objective.gain(candidates[c].node);
      candidates[c].chosen_before = n_chosen;
    }
  });
}

}  // namespace

GreedyChoice choose_greedily(GreedyObjective& objective, Index n, Index k,
                             const std::function<bool(Index)>& accept, int threads,
                             const ProgressCallback& progress) {
  std::vector<Candidate> all(static_cast<std::size_t>(n));
  for (Index v = 0; v < n; ++v) all[static_cast<std::size_t>(v)].node = v;
  for (Index first = 0; first < n; first += kRound) {
    report(progress, {"compress", 0, k, "gains"});
    evaluate(objective, threads, all.data() + first, std::min(kRound, n - first), 0);
  }
  std::priority_queue<Candidate> queue(std::less<Candidate>(), std::move(all));
  GreedyChoice out;
  std::vector<Candidate> stale;
  std::size_t batch = 1;
  while (!queue.empty() && static_cast<Index>(out.chosen.size()) < k) {
    const auto n_chosen = static_cast<Index>(out.chosen.size());
    report(progress, {"compress", n_chosen, k, ""});
    for (stale.clear(); !queue.empty() && stale.size() < batch; queue.pop()) {
      if (queue.top().chosen_before == n_chosen) break;
      stale.push_back(queue.top());
    }
    if (!stale.empty()) {
      evaluate(objective, threads, stale.data(), static_cast<Index>(stale.size()), n_chosen);
      for (const Candidate& candidate : stale) queue.push(candidate);
      batch = std::min(2 * batch, kBatch);
      continue;
    }
    const Candidate best = queue.top();
    if (!(best.gain > 0.0)) break;
    queue.pop();
    if (!accept(best.node)) continue;
    out.gains.push_back(objective.choose(best.node));
    out.chosen.push_back(best.node);
    batch = 1;
  }
  return out;
}

}  // namespace ecseq::compress
