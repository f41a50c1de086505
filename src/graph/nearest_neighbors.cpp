#include "ecseq/graph/nearest_neighbors.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "coarse_cells.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/core/sequences.hpp"
#include "hnsw_index.hpp"
#include "metric_space.hpp"

namespace ecseq::graph {
namespace {

constexpr Index kChunk = 512;    // rows whose lists of neighbours stay in the second-level cache
constexpr Index kSample = 1000;  // rows on which recall is measured
constexpr Index kSampleChunk = 64;
constexpr int kLeastEffort = 32, kMostEffort = 4096;  // of HNSW

/// The k points of highest score seen so far, for each of `rows` rows.
class TopLists {
 public:
  TopLists(Index rows, Index k)
      : k_(k),
        score_(static_cast<std::size_t>(rows * k), kernels::kNoScore),
        point_(score_.size(), -1),
        threshold_(static_cast<std::size_t>(rows), kernels::kNoScore) {}

  const float* thresholds() const { return threshold_.data(); }
  const std::int32_t* points(Index row) const { return point_.data() + row * k_; }

  /// Points come in increasing order and an equal one goes behind: the lower number wins ties.
  void offer(Index row, std::int32_t point, float score) {
    if (!(score > threshold_[static_cast<std::size_t>(row)])) return;
    float* scores = score_.data() + row * k_;
    std::int32_t* points = point_.data() + row * k_;
    Index place = k_ - 1;
    for (; place > 0 && scores[place - 1] < score; --place) {
      scores[place] = scores[place - 1];
      points[place] = points[place - 1];
    }
    scores[place] = score;
    points[place] = point;
    threshold_[static_cast<std::size_t>(row)] = scores[k_ - 1];
  }

 private:
  Index k_;
  std::vector<float> score_;
  std::vector<std::int32_t> point_;
  std::vector<float> threshold_;
};

/// Writes the neighbours of row i by their distances in double, which order what float scores
/// could not tell apart.
void write_neighbors(const MetricSpace& space, Index i, const std::int32_t* points,
                     NeighborTable& out) {
  std::vector<std::pair<double, std::int32_t>> found;
  for (Index j = 0; j < out.rows.cols(); ++j) {
    found.emplace_back(space.distance(i, points[j]), points[j]);
  }
  std::sort(found.begin(), found.end());
  for (Index j = 0; j < out.rows.cols(); ++j) {
    const auto& [distance, row] = found[static_cast<std::size_t>(j)];
    out.rows(i, j) = row;
    out.distances(i, j) = static_cast<float>(distance);
  }
}

/// Lists for `queries` among all rows, without themselves.
TopLists search_all(const MetricSpace& space, const kernels::PackedDense& points,
                    const Index* queries, Index n, Index k) {
  Matrix<float> x(n, space.rows().cols());
  for (Index q = 0; q < n; ++q) x.row(q) = space.rows().row(queries[q]);
  TopLists lists(n, k);
  kernels::visit_scores(points, 0, points.panels(), x.data(), n, lists.thresholds(),
                        [&](Index q, Index point, float score) {
                          if (point == queries[q]) return;
                          lists.offer(q, static_cast<std::int32_t>(point), score);
                        });
  return lists;
}

/// search(queries, n) for all rows by chunks, on all threads.
template <class Search>
void search_by_chunks(Index rows, int threads, const ProgressCallback& progress,
                      const Search& search) {
  const Index round = kChunk * threads;
  for (Index first = 0; first < rows; first += round) {
    report(progress, {"graph", first, rows, ""});
    parallel_chunks(std::min(round, rows - first), kChunk, threads, [&](Index begin, Index end) {
      std::vector<Index> queries(static_cast<std::size_t>(end - begin));
      std::iota(queries.begin(), queries.end(), first + begin);
      search(queries.data(), end - begin);
    });
  }
}

void search_exactly(const MetricSpace& space, Index k, int threads,
                    const ProgressCallback& progress, NeighborTable& out) {
  const Index rows = space.rows().rows();
  const kernels::PackedDense points = space.pack(0, rows);
  search_by_chunks(rows, threads, progress, [&](const Index* queries, Index n) {
    const TopLists lists = search_all(space, points, queries, n, k);
    for (Index q = 0; q < n; ++q) write_neighbors(space, queries[q], lists.points(q), out);
  });
}

/// The rows on which recall is measured, with their true neighbours.
struct RecallSample {
  std::vector<Index> rows;            ///< [rows]
  std::vector<std::int32_t> nearest;  ///< [rows, k]

  Index size() const { return static_cast<Index>(rows.size()); }
  Index row(Index s) const { return rows[static_cast<std::size_t>(s)]; }
  const std::int32_t* nearest_to(Index s, Index k) const { return nearest.data() + s * k; }
};

RecallSample draw_sample(const MetricSpace& space, const kernels::PackedDense& points, Index k,
                         std::uint64_t seed, int threads) {
  const Index n = space.rows().rows();
  RecallSample sample{Rng(seed, 1).permutation(n), {}};
  sample.rows.resize(static_cast<std::size_t>(std::min(n, kSample)));
  sample.nearest.resize(sample.rows.size() * static_cast<std::size_t>(k));
  parallel_chunks(sample.size(), kSampleChunk, threads, [&](Index begin, Index end) {
    const TopLists lists = search_all(space, points, sample.rows.data() + begin, end - begin, k);
    for (Index s = begin; s < end; ++s) {
      std::copy_n(lists.points(s - begin), k, sample.nearest.data() + s * k);
    }
  });
  return sample;
}

/// How many of its nearest cells each cell must search for the recall asked for; at least as many
/// as hold k rows besides any one. Also the recall found on the sample.
struct Reach {
  Index cells = 0;
  double recall = 0.0;
};

Reach find_reach(const MetricSpace& space, const CoarseCells& cells, Index k,
                 const NeighborSearch& search, int threads) {
  const RecallSample sample =
      draw_sample(space, space.pack(0, space.rows().rows()), k, search.seed, threads);
  // found[s][r]: true neighbours of sample s in the r-th nearest cell to its own.
  std::vector<std::vector<Index>> found(sample.rows.size());
  parallel_chunks(sample.size(), kSampleChunk, threads, [&](Index begin, Index end) {
    for (Index s = begin; s < end; ++s) {
      const Index own = cells.cell_of(sample.row(s));
      const std::vector<Index> near = cells.nearest_cells(own);
      std::vector<Index> place(near.size());
      for (std::size_t r = 0; r < near.size(); ++r) {
        place[static_cast<std::size_t>(near[r])] = static_cast<Index>(r);
      }
      auto& counts = found[static_cast<std::size_t>(s)];
      counts.assign(near.size(), 0);
      for (Index j = 0; j < k; ++j) {
        const Index cell = cells.cell_of(sample.nearest_to(s, k)[j]);
        ++counts[static_cast<std::size_t>(place[static_cast<std::size_t>(cell)])];
      }
    }
  });
  Reach reach;
  Index hits = 0;
  const auto wanted = static_cast<double>(sample.size() * k);
  while (reach.cells < cells.size() && (reach.cells == 0 || reach.recall < search.recall)) {
    for (const auto& counts : found) hits += counts[static_cast<std::size_t>(reach.cells)];
    reach.recall = static_cast<double>(hits) / wanted;
    ++reach.cells;
  }
  return reach;
}

/// Some members of a cell: a cell of many duplicates is searched for in parts.
struct CellPart {
  Index cell = 0;
  std::span<const Index> rows;
};

std::vector<CellPart> parts_of(const CoarseCells& cells) {
  constexpr std::size_t kRows = 1024;
  std::vector<CellPart> parts;
  for (Index c = 0; c < cells.size(); ++c) {
    const std::span<const Index> members = cells.members(c);
    for (std::size_t first = 0; first < members.size(); first += kRows) {
      parts.push_back({c, members.subspan(first, std::min(kRows, members.size() - first))});
    }
  }
  return parts;
}

void search_cells(const MetricSpace& space, Index k, const NeighborSearch& search, int threads,
                  const ProgressCallback& progress, NeighborTable& out) {
  const CoarseCells cells(space, search.seed, threads, progress);
  const Reach reach = find_reach(space, cells, k, search, threads);
  out.recall = reach.recall;
  std::vector<kernels::PackedDense> packed(static_cast<std::size_t>(cells.size()));
  parallel_for(cells.size(), threads, [&](Index c) {
    packed[static_cast<std::size_t>(c)] =
        space.pack(take_rows<float>(space.rows(), cells.members(c)));
  });
  const std::vector<CellPart> parts = parts_of(cells);
  const auto n_parts = static_cast<Index>(parts.size());
  const Index round = 4 * threads;
  for (Index first = 0; first < n_parts; first += round) {
    report(progress, {"graph", first, n_parts, ""});
    parallel_for(std::min(round, n_parts - first), threads, [&](Index p) {
      const CellPart& part = parts[static_cast<std::size_t>(first + p)];
      const std::vector<Index> queries(part.rows.begin(), part.rows.end());
      const auto n = static_cast<Index>(queries.size());
      const Matrix<float> x = take_rows<float>(space.rows(), queries);
      TopLists lists(n, k);
      Index candidates = 0;
      const std::vector<Index> near = cells.nearest_cells(part.cell);
      for (std::size_t r = 0; r < near.size(); ++r) {
        // Beyond the reach only for cells so small that k rows were not seen yet.
        if (static_cast<Index>(r) >= reach.cells && candidates > k) break;
        const std::vector<Index>& members = cells.members(near[r]);
        candidates += static_cast<Index>(members.size());
        const kernels::PackedDense& points = packed[static_cast<std::size_t>(near[r])];
        kernels::visit_scores(points, 0, points.panels(), x.data(), n, lists.thresholds(),
                              [&](Index q, Index point, float score) {
                                const Index row = members[static_cast<std::size_t>(point)];
                                if (row == queries[static_cast<std::size_t>(q)]) return;
                                lists.offer(q, static_cast<std::int32_t>(row), score);
                              });
      }
      for (Index q = 0; q < n; ++q) {
        write_neighbors(space, queries[static_cast<std::size_t>(q)], lists.points(q), out);
      }
    });
  }
}

/// Share of the true neighbours of the sampled rows that HNSW meets.
double hnsw_recall(const HnswIndex& index, const RecallSample& sample, Index k, int threads) {
  std::vector<Index> hits(sample.rows.size());
  parallel_chunks(sample.size(), kSampleChunk, threads, [&](Index begin, Index end) {
    std::vector<std::int32_t> found(static_cast<std::size_t>((end - begin) * k));
    index.nearest(sample.rows.data() + begin, end - begin, k, found.data());
    for (Index s = begin; s < end; ++s) {
      const auto* const own = found.data() + (s - begin) * k;
      for (Index j = 0; j < k; ++j) {
        hits[static_cast<std::size_t>(s)] += std::count(own, own + k, sample.nearest_to(s, k)[j]);
      }
    }
  });
  return static_cast<double>(std::accumulate(hits.begin(), hits.end(), Index{0})) /
         static_cast<double>(sample.size() * k);
}

/// Cosine: rows of length 1 are in the same order by their distance.
void search_hnsw(const MetricSpace& space, Index k, const NeighborSearch& search, int threads,
                 const ProgressCallback& progress, NeighborTable& out) {
  const Index rows = space.rows().rows();
  HnswIndex index(space.rows(), progress);
  const kernels::PackedDense points = space.pack(0, rows);
  const RecallSample sample = draw_sample(space, points, k, search.seed, threads);
  int effort = static_cast<int>(std::max<Index>(kLeastEffort, k + 1));
  for (;; effort *= 2) {
    report(progress, {"graph", 0, rows, "effort " + std::to_string(effort)});
    index.set_effort(effort);
    out.recall = hnsw_recall(index, sample, k, threads);
    if (out.recall >= search.recall || 2 * effort > kMostEffort) break;
  }
  search_by_chunks(rows, threads, progress, [&](const Index* queries, Index n) {
    std::vector<std::int32_t> found(static_cast<std::size_t>(n * k));
    index.nearest(queries, n, k, found.data());
    for (Index q = 0; q < n; ++q) {
      const std::int32_t* const own = found.data() + q * k;
      if (own[k - 1] >= 0) {
        write_neighbors(space, queries[q], own, out);
      } else {  // a row that few links lead to
        write_neighbors(space, queries[q], search_all(space, points, queries + q, 1, k).points(0),
                        out);
      }
    }
  });
}

}  // namespace

NeighborTable nearest_neighbors(MatrixView<float> x, Index k, const NeighborSearch& search,
                                const ProgressCallback& progress) {
  require_one_of("metric", search.metric, {"euclidean", "cosine"});
  require_one_of("index", search.index, {"cells", "hnsw"});
  require_at_least("n_neighbors", k, 1);
  if (k >= x.rows) {
    throw InvalidArgument("n_neighbors: " + std::to_string(k) + " asked for, but a row has only " +
                          std::to_string(std::max<Index>(0, x.rows - 1)) + " others");
  }
  if (!(search.recall > 0.0 && search.recall <= 1.0)) {
    throw InvalidArgument("recall: expected a share in (0, 1], got " +
                          std::to_string(search.recall));
  }
  require_finite(x, "X");
  const int threads = resolve_threads(search.num_threads);
  const MetricSpace space(x, search.metric);
  NeighborTable out;
  out.rows.resize(x.rows, k);
  out.distances.resize(x.rows, k);
  if (x.rows > search.approximate_above && search.index == "hnsw") {
    search_hnsw(space, k, search, threads, progress, out);
  } else if (x.rows > search.approximate_above) {
    search_cells(space, k, search, threads, progress, out);
  } else {
    search_exactly(space, k, threads, progress, out);
  }
  return out;
}

}  // namespace ecseq::graph
