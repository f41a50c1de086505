#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "ecseq/core/cache_line.hpp"
#include "ecseq/core/paged_array.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/graph/normalized_adjacency.hpp"

namespace ecseq::compress {

// Grain's influence: v influences the nodes with an entry in row v of A_hat^2, itself and those
// within two hops (graph/normalized_adjacency.hpp).

/// Marks of the nodes met in one visit, so that each counts once.
class Marks {
 public:
  explicit Marks(Index n) : last_(static_cast<std::size_t>(n), 0) {}
  void clear() {
    if (++visit_ != 0) return;
    std::fill(last_.begin(), last_.end(), 0);
    visit_ = 1;
  }
  /// Brings the node's mark nearer.
  void fetch(Index node) const { fetch_line(last_.data() + node); }
  bool first_time(Index node) {
    return std::exchange(last_[static_cast<std::size_t>(node)], visit_) != visit_;
  }

 private:
  std::vector<std::uint32_t> last_;  ///< [N], the visit that met it last
  std::uint32_t visit_ = 0;
};

/// No effect but on caches: of what a visit to v, soon, will read.
inline void fetch_influenced(const graph::NormalizedAdjacency& adjacency, Index v) {
  for (const Index between : adjacency.columns_of(v)) {
    fetch_line(adjacency.columns_of(between).data());
  }
}

/// body(u) once for each node u that v influences.
template <class Body>
void visit_influenced(const graph::NormalizedAdjacency& adjacency, Index v, Marks& marks,
                      const Body& body) {
  marks.clear();
  const auto near = adjacency.columns_of(v);
  for (std::size_t e = 0; e < near.size(); ++e) {
    // The next ones' marks lie anywhere.
    if (e + 1 < near.size()) {
      for (const Index u : adjacency.columns_of(near[e + 1])) marks.fetch(u);
    }
    for (const Index u : adjacency.columns_of(near[e])) {
      if (marks.first_time(u)) body(u);
    }
  }
}

/// Columns that are folded at a time: four cache lines of a row, so that each is read whole.
template <class T>
inline constexpr Index kFoldWidth = 256 / static_cast<Index>(sizeof(T));

/// rows[v] = the rows folded over the nodes that v influences: hop by hop, which needs a fold that
/// may take a row twice, such as a minimum. fold(sum, row) changes the first.
/// rows: [N, kFoldWidth]; scratch: anything.
template <class T, class Fold>
void fold_influenced(const graph::NormalizedAdjacency& adjacency, const Fold& fold, int threads,
                     const ProgressCallback& progress, PagedArray<T>& rows,
                     PagedArray<T>& scratch) {
  constexpr Index kChunk = 512, kRound = 32 * kChunk, kWidth = kFoldWidth<T>;
  constexpr std::size_t kAhead = 4;  // rows whose place is unknown to the processor until then
  const Index n = adjacency.size();
  if (scratch.size() != rows.size()) scratch = PagedArray<T>(rows.size());
  for (int hop = 0; hop < 2; ++hop) {
    for (Index first = 0; first < n; first += kRound) {
      report(progress, {"compress", first, n, "influence"});
      parallel_chunks(std::min(kRound, n - first), kChunk, threads, [&](Index begin, Index end) {
        for (Index i = first + begin; i < first + end; ++i) {
          T sum[kWidth];
          std::copy_n(rows.data() + i * kWidth, kWidth, sum);
          const auto columns = adjacency.columns_of(i);
          for (std::size_t e = 0; e < columns.size(); ++e) {
            if (e + kAhead < columns.size()) {
              const T* const ahead = rows.data() + columns[e + kAhead] * kWidth;
              for (Index k = 0; k < kWidth; k += kWidth / 4) __builtin_prefetch(ahead + k);
            }
            const T* const row = rows.data() + columns[e] * kWidth;
            for (Index k = 0; k < kWidth; ++k) fold(sum[k], row[k]);
          }
          std::copy_n(sum, kWidth, scratch.data() + i * kWidth);
        }
      });
    }
    std::swap(rows, scratch);
  }
}

}  // namespace ecseq::compress
