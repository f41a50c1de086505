#include "ecseq/graph/range_search.hpp"

#include <algorithm>
#include <utility>

#include "ecseq/kernels/score_masks.hpp"
#include "metric_space.hpp"

namespace ecseq::graph {

struct RangeSearch::Points::Packed {
  kernels::PackedDense dense;
};

RangeSearch::RangeSearch(MatrixView<float> x, double radius)
    : space_(std::make_unique<const MetricSpace>(x, "euclidean")), radius_(radius) {}

RangeSearch::~RangeSearch() = default;

RangeSearch::Points RangeSearch::points(std::vector<Index> rows) const {
  Points out;
  out.packed_ = std::make_shared<const Points::Packed>(
      Points::Packed{space_->pack(take_rows<float>(space_->rows(), rows))});
  out.rows_ = std::move(rows);
  return out;
}

void RangeSearch::within(const Points& points, const Index* rows, Index n,
                         std::uint64_t* bits) const {
  Matrix<float> x(n, space_->rows().cols());
  std::vector<float> below, above;
  for (Index q = 0; q < n; ++q) {
    x.row(q) = space_->rows().row(rows[q]);
    below.push_back(space_->score_within(rows[q], radius_));
    above.push_back(space_->score_surely_within(rows[q], radius_));
  }
  std::fill_n(bits, n * points.words(), std::uint64_t{0});
  kernels::mask_scores(points.packed_->dense, x.data(), n, below.data(), above.data(), bits,
                       points.words(), [&](Index q, Index j) {
                         return space_->distance(
                                    rows[q], points.rows_[static_cast<std::size_t>(j)]) <= radius_;
                       });
}

}  // namespace ecseq::graph
