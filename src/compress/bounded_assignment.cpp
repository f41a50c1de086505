#include "bounded_assignment.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "centroid_panels.hpp"
#include "ecseq/core/cache_line.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/kernels/panel_scores.hpp"
#include "ecseq/kernels/partial_vec.hpp"
#include "runs.hpp"

namespace ecseq::compress {
namespace {

using kernels::kLanes;
using kernels::kPanelRows;
using kernels::Vec;

/// Rows of a chunk: enough to fill tiles from each panel's rows, few enough for the cache.
constexpr Index kChunk = 2048;
constexpr Index kWidth = kLanes<float>;
/// Where one row of so many, or more, is in doubt, 8-bit products of a block of rows take less time
/// than those rows' products.
constexpr int kMuchDoubt = 5;
constexpr unsigned kAll = (1U << kWidth) - 1, kAllRows = (1U << kPanelRows) - 1;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// A bound that only a threshold of minus infinity, of the places behind the last row, passes.
constexpr float kNothingKnown = std::numeric_limits<float>::lowest();
/// Squared distances may have lost this much to underflow.
constexpr float kUnderflow = 1e-30F;
/// Makes up for the few roundings of a value between its bound and the comparison.
constexpr float kUp = 1.0F + 1e-6F, kDown = 1.0F - 1e-6F;

Index panels_of(Index k) { return (k + kWidth - 1) / kWidth; }
Index chunks_of(Index rows) { return (rows + kChunk - 1) / kChunk; }

/// |a - b|^2
inline float squared_distance(const float* a, const float* b, Index d) {
  Vec<float> sum{};
  Index k = 0;
  for (; k + kWidth <= d; k += kWidth) {
    const Vec<float> difference = kernels::load(a + k) - kernels::load(b + k);
    sum = kernels::fma(difference, difference, sum);
  }
  if (k < d) {
    const Vec<float> difference =
        kernels::load_first(a + k, d - k) - kernels::load_first(b + k, d - k);
    sum = kernels::fma(difference, difference, sum);
  }
  return kernels::sum_of_lanes<float>(sum);
}

}  // namespace

/// What rounding may add to the squared distance that two scores of a row differ by.
template <class Norm>
Norm BoundedAssignment::slack(Norm norm) const {
  return rounding_ * (norm + largest_norm_) + kUnderflow;
}

/// The work on one chunk of rows; row numbers are within the chunk.
class BoundedAssignment::Chunk {
 public:
  Chunk(BoundedAssignment& all, Index begin, Index end)
      : all_(all),
        begin_(begin),
        rows_(end - begin),
        blocks_((rows_ + kWidth - 1) / kWidth),
        bounds_(all.bounds() + begin * all.panels_),
        own_(all.own_.data() + begin),
        norms_(all.norms_.data() + begin),
        threshold_(at(blocks_ * kWidth)),
        reach_(threshold_.size()),
        score_(threshold_.size()),
        doubt_(threshold_.size()),
        list_(threshold_.size() + kPanelRows),
        block_list_(at(blocks_)),
        highest_(threshold_.size()) {}

  /// Gives every row a centroid that is probably its nearest, and bounds of all panels, by 8-bit
  /// scores: in place of own_ and bounds_ as they are. Returns how many pairs were computed.
  Index guess() {
    std::vector<float> best(threshold_.size(), -kInfinity);
    std::vector<std::int32_t> best_panel(threshold_.size(), 0);
    std::fill_n(own_, kChunk, -1);  // scores leave no centroid out
    for (Index row = 0; row < blocks_ * kWidth; row += kWidth) {
      const Vec<float> norm = kernels::load(norms_ + row);
      kernels::store(&reach_[at(row)], norm - all_.slack(norm));
    }
    std::iota(block_list_.begin(), block_list_.end(), 0);
    for (Index p = 0; p < all_.panels_; ++p) {
      score_in_eight_bit(p, blocks_);
      for (Index block = 0; block < blocks_; ++block) {
        kernels::store(bounds_of(p, block), eight_bit_bound(block, p));
        const Index row = block * kWidth;
        const Vec<float> highest = kernels::load(&highest_[at(row)]);
        const Vec<float> before = kernels::load(&best[at(row)]);
        for (Index i = 0; i < kWidth; ++i) {
          best_panel[at(row + i)] =
              highest[i] > before[i] ? static_cast<std::int32_t>(p) : best_panel[at(row + i)];
        }
        kernels::store(&best[at(row)], kernels::max(highest, before));
      }
    }
    adopt_nearest_of(best_panel);
    return rows_;
  }

  /// Returns how many pairs of rows and panels were computed.
  Index run(std::int64_t* labels, float* distances) {
    measure_own(distances);
    Index computed = 0;
    for (Index p = 0; p < all_.panels_; ++p) {
      const int count = select(p);
      if (p + 1 < all_.panels_) fetch_bounds(p + 1);
      for (int done = 0; done < count; done += kPanelRows) {
        compute(p, std::min(kPanelRows, count - done), list_.data() + done);
      }
      computed += count;
    }
    for (const Index i : moved_) distances[i] = distance(i);
    for (Index i = 0; i < rows_; ++i) labels[i] = all_.order_[at(own_[i])];
    return computed;
  }

 private:
  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }
  const float* row(Index i) const { return all_.x_.row(begin_ + i); }
  float distance(Index i) const {
    return squared_distance(row(i), all_.centroids_.row(own_[i]).data(), all_.x_.cols);
  }
  /// Where the distance to a row's own centroid puts its threshold and its score.
  void measure_own(float* distances) {
    std::vector<float> squared(threshold_.size(), 0.0F);
    for (Index i = 0; i < rows_; ++i) distances[i] = squared[at(i)] = distance(i);
    for (Index i = 0; i < blocks_ * kWidth; i += kWidth) {
      const Vec<float> norm = kernels::load(norms_ + i), lost = all_.slack(norm);
      Vec<float> highest = kernels::load(&squared[at(i)]);
      const Vec<float> doubt = all_.rounding_ * highest + lost;
      highest += doubt;
      kernels::store(&threshold_[at(i)], kernels::square_root(highest) * kUp);
      kernels::store(&reach_[at(i)], norm - lost);
      kernels::store(&score_[at(i)], 0.5F * (norm - highest));
      kernels::store(&doubt_[at(i)], doubt * (2.0F * kUp));
    }
    std::fill(threshold_.begin() + rows_, threshold_.end(), -kInfinity);
  }

  /// A bound of the distance to centroids of panel p that score at most `score`, and its drift.
  template <class Value>
  Value with_drift(Value distance, Index p) const {
    return (distance + all_.drift_above_[at(p)]) * kDown;
  }
  float bound(Index i, float score, Index p) const {
    return with_drift(std::sqrt(std::max(0.0F, reach_[at(i)] - 2.0F * score)), p);
  }

  /// Ahead of their use: the caches are not left to guess where the next panel's begin.
  void fetch_bounds(Index p) const {
    constexpr Index kLine = kCacheLine / sizeof(float);
    for (Index i = 0; i < rows_; i += kLine) fetch_line(bounds_ + p * kChunk + i);
  }

  /// Lists the rows that may be nearer to a centroid of panel p than to their own; returns their
  /// number.
  int select(Index p) {
    int found = 0, blocks = 0;
    for (Index block = 0; block < blocks_; ++block) {
      const unsigned lanes = doubted_lanes(block, kernels::load(bounds_of(p, block)), p);
      if (lanes == 0) continue;
      block_list_[at(blocks++)] = static_cast<std::int32_t>(block);
      found = list_lanes(lanes, block, found);
    }
    const bool much = found * kMuchDoubt > blocks * kWidth;
    if (all_.uses_eight_bit() && much) found = tighten(p, blocks);
    // Whole tiles, of which what is behind the end is computed in vain.
    std::fill_n(list_.begin() + found, kPanelRows, 0);
    return found;
  }

  /// Raises the bounds of the listed blocks by 8-bit scores, and lists the rows still in doubt.
  int tighten(Index p, int blocks) {
    score_in_eight_bit(p, blocks);
    int found = 0;
    for (int n = 0; n < blocks; ++n) {
      const Index block = block_list_[at(n)];
      float* const bounds = bounds_of(p, block);
      const Vec<float> raised = kernels::max(eight_bit_bound(block, p), kernels::load(bounds));
      kernels::store(bounds, raised);
      const unsigned lanes = doubted_lanes(block, raised, p);
      if (lanes != 0) found = list_lanes(lanes, block, found);
    }
    return found;
  }

  float* bounds_of(Index p, Index block) { return bounds_ + p * kChunk + block * kWidth; }
  unsigned doubted_lanes(Index block, Vec<float> bound, Index p) const {
    const Vec<float> threshold = kernels::load(&threshold_[at(block * kWidth)]);
    return kAll & ~kernels::greater_lanes(bound, (threshold + all_.drift_above_[at(p)]) * kUp);
  }
  int list_lanes(unsigned lanes, Index block, int found) {
    const auto first = static_cast<std::int32_t>(block * kWidth);
    return kernels::append_lanes(lanes, first, list_.data(), found);
  }

  /// highest_: what centroids of panel p but the row's own score at most, for rows of the first
  /// `blocks` listed. (Where there are 8-bit products, their blocks are vectors of floats.)
  void score_in_eight_bit(Index p, Index blocks) {
    static_assert(kChunk % EightBitRows::kBlock == 0);
    bound_scores(all_.rows_in_eight_bit_, begin_, block_list_.data(), blocks,
                 all_.panels_in_eight_bit_[p], own_, highest_.data());
  }
  /// What highest_ says of the distances of the rows of a block.
  Vec<float> eight_bit_bound(Index block, Index p) const {
    const Index row = block * kWidth;
    // These scores and those of floats are off by what is lost in rounding.
    const Vec<float> lost = all_.slack(kernels::load(norms_ + row));
    const Vec<float> squared =
        kernels::load(&reach_[at(row)]) - lost - 2.0F * kernels::load(&highest_[at(row)]);
    return with_drift(kernels::square_root(squared > 0.0F ? squared : Vec<float>{}), p);
  }

  /// Each row's own centroid is the nearest of this panel.
  void adopt_nearest_of(const std::vector<std::int32_t>& panel) {
    const std::span numbers(panel.data(), at(rows_));
    const Runs<std::int32_t> runs = runs_of<std::int32_t>(numbers, all_.panels_);
    std::copy(runs.places.begin(), runs.places.end(), list_.begin());
    std::fill_n(list_.begin() + rows_, kPanelRows, 0);
    for (Index p = 0; p < all_.panels_; ++p) {
      const Index stop = runs.starts[at(p + 1)];
      for (Index first = runs.starts[at(p)]; first < stop; first += kPanelRows) {
        const std::int32_t* const list = list_.data() + first;
        const int count = static_cast<int>(std::min<Index>(kPanelRows, stop - first));
        kernels::PanelScores scores;
        score_in_floats(p, count, list, scores);
        for (int n = 0; n < count; ++n) {
          const kernels::PanelWinner winner = kernels::find_winner(scores, n);
          own_[list[n]] = static_cast<std::int32_t>(p * kWidth + winner.lane);
          bounds_[p * kChunk + list[n]] = bound(list[n], winner.second, p);
        }
      }
    }
  }

  /// One register tile: panel p for the first `count` of kPanelRows rows of a list.
  void score_in_floats(Index p, int count, const std::int32_t* list,
                       kernels::PanelScores& out) const {
    const float* rows[kPanelRows];
    for (int n = 0; n < kPanelRows; ++n) rows[n] = row(list[n]);
    kernels::score_panel(all_.points_, p, rows, count, out);
  }

  /// What a tile says of its rows' centroids and bounds.
  void compute(Index p, int count, const std::int32_t* list) {
    kernels::PanelScores panel;
    score_in_floats(p, count, list, panel);
    alignas(kernels::kVectorBytes) float score[kPanelRows], bound[kPanelRows];
    unsigned better = 0;
    for (int n = 0; n < kPanelRows; n += kWidth) {
      const Vec<float> highest = kernels::load(panel.highest + n);
      const Vec<float> before = kernels::gather(score_.data(), list + n);
      Vec<float> squared = kernels::gather(reach_.data(), list + n) - 2.0F * highest;
      squared = squared > 0.0F ? squared : Vec<float>{};
      kernels::store(score + n, before);
      kernels::store(bound + n, with_drift(kernels::square_root(squared), p));
      better |= (kAll & ~kernels::greater_lanes(before, highest)) << n;
    }
    for (int n = 0; n < count; ++n) bounds_[p * kChunk + list[n]] = bound[n];
    for (better &= kAllRows >> (kPanelRows - count); better != 0; better &= better - 1) {
      const int n = std::countr_zero(better);
      const kernels::PanelWinner winner = kernels::find_winner(panel, n);
      const Index i = list[n];
      const Index left = own_[i] / kWidth;
      const auto place = static_cast<std::int32_t>(p * kWidth + winner.lane);
      if (left != p) {
        float own_score = score_[at(i)] + doubt_[at(i)];
        if (!(panel.highest[n] > own_score)) {
          own_score = score_of_own(i);
          if (!beats(place, panel.highest[n], own_[i], own_score)) continue;
        }
        float& left_bound = bounds_[left * kChunk + i];
        left_bound = std::min(left_bound, this->bound(i, own_score, left));
      }
      adopt(i, place, panel.highest[n]);
      bounds_[p * kChunk + i] = this->bound(i, winner.second, p);
    }
  }

  bool beats(std::int32_t place, float score, std::int32_t other, float other_score) const {
    return score > other_score ||
           (score == other_score && all_.order_[at(place)] < all_.order_[at(other)]);
  }

  /// Until a panel says so, the score of a row's own centroid is known within bounds only.
  float score_of_own(Index i) {
    if (doubt_[at(i)] > 0.0F) {
      const float* rows[kPanelRows];
      std::fill_n(rows, kPanelRows, row(i));
      kernels::PanelScores panel;
      kernels::score_panel(all_.points_, own_[i] / kWidth, rows, 1, panel);
      score_[at(i)] = panel.scores[0][own_[i] % kWidth];
      doubt_[at(i)] = 0.0F;
    }
    return score_[at(i)];
  }

  void adopt(Index i, std::int32_t place, float score) {
    score_[at(i)] = score;
    doubt_[at(i)] = 0.0F;
    if (own_[i] == place) return;
    own_[i] = place;
    moved_.push_back(i);
    // The score, too, may be off by what is lost in rounding.
    const float lost = all_.slack(norms_[i]);
    const float squared = std::max(0.0F, norms_[i] - 2.0F * score) + lost;
    threshold_[at(i)] =
        std::min(threshold_[at(i)], std::sqrt(squared + all_.rounding_ * squared + lost) * kUp);
  }

  BoundedAssignment& all_;
  Index begin_, rows_, blocks_;
  float* bounds_;                         ///< [panels, kChunk]
  std::int32_t* own_;                     ///< [kChunk]
  const float* norms_;                    ///< [kChunk]
  std::vector<float> threshold_;          ///< distance that a bound must exceed
  std::vector<float> reach_;              ///< |x|^2 less what rounding may take
  std::vector<float> score_;              ///< of the row's own centroid, or below it
  std::vector<float> doubt_;              ///< by how much at most
  std::vector<std::int32_t> list_;        ///< rows that may be nearer to a panel
  std::vector<std::int32_t> block_list_;  ///< vectors of rows with any of these
  std::vector<float> highest_;            ///< score in a panel at most
  std::vector<Index> moved_;              ///< rows that have a new centroid
};

bool BoundedAssignment::worthwhile(Index rows, Index k) {
  constexpr Index kFewestPanels = 4, kMostBytes = Index{512} << 20;
  const Index panels = panels_of(k);
  return panels >= kFewestPanels &&
         chunks_of(rows) <= kMostBytes / (kChunk * panels * Index{sizeof(float)});
}

double BoundedAssignment::computed_share() const {
  const Index computed = std::accumulate(computed_.begin(), computed_.end(), Index{0});
  return static_cast<double>(computed) / static_cast<double>(x_.rows * panels_);
}

void BoundedAssignment::assign_first(MatrixView<float> centroids, MatrixView<float> x,
                                     std::int64_t* labels, float* distances) {
  x_ = x;
  panels_ = panels_of(centroids.rows);
  own_.assign(static_cast<std::size_t>(chunks_of(x.rows) * kChunk), 0);
  computed_.assign(static_cast<std::size_t>(chunks_of(x.rows)), 0);
  is_first_ = true;
  const bool eight_bit = may_use_eight_bit_ && x.cols <= EightBitRows::kMostColumns;
  rows_in_eight_bit_ = eight_bit ? EightBitRows(x, threads_) : EightBitRows();
  norms_.assign(own_.size(), 0.0F);
  parallel_chunks(x.rows, kChunk, threads_, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      norms_[static_cast<std::size_t>(i)] = kernels::squared_norm(x.row(i), x.cols);
    }
  });
  if (eight_bit) return assign_by_guesses(centroids, labels, distances);
  centroids_ = centroids.eigen();
  const kernels::PackedDense points = kernels::pack_points(centroids);
  parallel_chunks(x.rows, kChunk, threads_, [&](Index begin, Index end) {
    kernels::assign_nearest(points, x.row(begin), end - begin, labels + begin, distances + begin);
    for (Index i = begin; i < end; ++i) {
      own_[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(labels[i]);
      distances[i] = squared_distance(x.row(i), centroids.row(labels[i]), x.cols);
    }
    computed_[static_cast<std::size_t>(begin / kChunk)] = (end - begin) * panels_;
  });
}

void BoundedAssignment::assign_by_guesses(MatrixView<float> centroids, std::int64_t* labels,
                                          float* distances) {
  start(centroids);
  parallel_chunks(x_.rows, kChunk, threads_, [&](Index begin, Index end) {
    Chunk chunk(*this, begin, end);
    Index& computed = computed_[static_cast<std::size_t>(begin / kChunk)];
    computed = chunk.guess();
    computed += chunk.run(labels + begin, distances + begin);
    for (Index i = begin; i < end; ++i) {
      own_[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(labels[i]);
    }
  });
}

void BoundedAssignment::start(MatrixView<float> centroids) {
  // A score is a sum of h + 1 products: of each partial sum 2^-24 is lost at most, and |x|^2 loses
  // as much. Two scores count twice each in squared distances; the rest is for the sums here.
  rounding_ = 6.0F * static_cast<float>(x_.cols + 4) * 0x1p-24F;
  order_ = order_in_panels(centroids, kWidth);
  place(take_rows(centroids, order_));
  std::vector<std::int32_t> place_of(order_.size());
  for (std::size_t j = 0; j < order_.size(); ++j) {
    place_of[static_cast<std::size_t>(order_[j])] = static_cast<std::int32_t>(j);
  }
  drift_.assign(static_cast<std::size_t>(panels_), 0.0);
  drift_above_.assign(drift_.size(), 0.0F);
  const std::size_t n_bounds = own_.size() * static_cast<std::size_t>(panels_);
  if (bounds_.size() != n_bounds) bounds_ = PagedArray<float>(n_bounds);
  parallel_chunks(x_.rows, kChunk, threads_, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      std::int32_t& own = own_[static_cast<std::size_t>(i)];
      own = place_of[static_cast<std::size_t>(own)];
    }
  });
}

void BoundedAssignment::forget_bounds() {
  parallel_chunks(x_.rows, kChunk, threads_, [&](Index begin, Index) {
    std::fill_n(bounds() + begin * panels_, kChunk * panels_, kNothingKnown);
  });
}

void BoundedAssignment::bound_by_distances_to_panels() {
  const Matrix<float> apart = distances_to_panels();
  parallel_chunks(x_.rows, kChunk, threads_, [&](Index begin, Index end) {
    std::array<float, kChunk> radius;
    for (Index i = begin; i < end; ++i) {
      const Index own = own_[static_cast<std::size_t>(i)];
      const float squared = squared_distance(x_.row(i), centroids_.row(own).data(), x_.cols);
      radius[static_cast<std::size_t>(i - begin)] =
          std::sqrt(squared + rounding_ * squared + kUnderflow) * kUp;
    }
    // |x - c'| >= |c - c'| - |x - c|
    float* const bounds = this->bounds() + begin * panels_;
    for (Index p = 0; p < panels_; ++p) {
      for (Index i = 0; i < end - begin; ++i) {
        const float away = apart(p, own_[static_cast<std::size_t>(begin + i)]);
        bounds[p * kChunk + i] = (away - radius[static_cast<std::size_t>(i)]) * kDown;
      }
    }
  });
}

/// [panels, K] a lower bound of the distance from each centroid to those of each panel; of its own
/// panel nothing.
Matrix<float> BoundedAssignment::distances_to_panels() const {
  Matrix<float> out = Matrix<float>::Zero(panels_, centroids_.rows());
  parallel_chunks(centroids_.rows(), kWidth, threads_, [&](Index begin, Index end) {
    Matrix<float> scores(end - begin, points_.padded());
    kernels::multiply(points_, centroids_.row(begin).data(), centroids_.cols(), end - begin,
                      scores.data());
    for (Index j = begin; j < end; ++j) {
      const float norm = centroids_.row(j).squaredNorm();
      const float reach = norm - slack(norm);
      for (Index p = 0; p < panels_; ++p) {
        if (p == j / kWidth) continue;
        const float highest = scores.row(j - begin).segment(p * kWidth, kWidth).maxCoeff();
        out(p, j) = std::sqrt(std::max(0.0F, reach - 2.0F * highest)) * kDown;
      }
    }
  });
  return out;
}

void BoundedAssignment::move(MatrixView<float> centroids) {
  Matrix<float> moved = take_rows(centroids, order_);
  std::vector<double> farthest(drift_.size(), 0.0);
  for (Index j = 0; j < moved.rows(); ++j) {
    double& panel = farthest[static_cast<std::size_t>(j / kWidth)];
    panel =
        std::max(panel, (moved.row(j).cast<double>() - centroids_.row(j).cast<double>()).norm());
  }
  for (std::size_t p = 0; p < drift_.size(); ++p) {
    drift_[p] += farthest[p];
    drift_above_[p] = static_cast<float>(drift_[p]) * kUp;
  }
  place(std::move(moved));
}

/// centroids: in the order of the panels
void BoundedAssignment::place(Matrix<float> centroids) {
  centroids_ = std::move(centroids);
  points_ = kernels::pack_points(centroids_);
  largest_norm_ = centroids_.rowwise().squaredNorm().maxCoeff();
  if (uses_eight_bit()) panels_in_eight_bit_ = EightBitPanels(centroids_);
}

void BoundedAssignment::assign(MatrixView<float> centroids, MatrixView<float> x,
                               std::int64_t* labels, float* distances) {
  if (x.data != x_.data || x.rows != x_.rows || x.cols != x_.cols ||
      centroids.rows != centroids_.rows()) {
    return assign_first(centroids, x, labels, distances);
  }
  if (is_first_) {
    // Also where there are panels already: the first centroids may have been any, and are grouped
    // better once they have moved.
    start(centroids);
    forget_bounds();
    if (!uses_eight_bit()) bound_by_distances_to_panels();
    is_first_ = false;
  } else {
    move(centroids);
  }
  parallel_chunks(x.rows, kChunk, threads_, [&](Index begin, Index end) {
    Chunk chunk(*this, begin, end);
    computed_[static_cast<std::size_t>(begin / kChunk)] =
        chunk.run(labels + begin, distances + begin);
  });
}

}  // namespace ecseq::compress
