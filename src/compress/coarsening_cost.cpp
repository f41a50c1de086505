#include "ecseq/compress/coarsening_cost.hpp"

#include <algorithm>
#include <cmath>

namespace ecseq::compress {
namespace {

// A node with this many times more neighbours than the set has members is asked for its edges to
// the members instead of being read through: else a hub of n leaves would cost n^2.
constexpr std::size_t kHub = 16;

/// The lower triangle of product += scale v v^T.
void add_outer(double scale, const double* v, Matrix<double>& product) {
  for (Index r = 0; r < product.rows(); ++r) {
    const double left = scale * v[r];
    double* row = product.data() + r * product.cols();
    for (Index c = 0; c <= r; ++c) row[c] += left * v[c];
  }
}

}  // namespace

VariationCost::VariationCost(const graph::SparseGraph& graph, const std::vector<double>& degrees,
                             const Matrix<double>& target)
    : graph_(graph),
      degrees_(degrees),
      target_(target),
      place_(degrees.size(), -1),
      product_(target.cols(), target.cols()),
      difference_(target.cols()) {}

double VariationCost::operator()(std::span<const Index> set) {
  const auto size = static_cast<Index>(set.size());
  const Index k = target_.cols();
  if (centred_.rows() < size) centred_.resize(size, k);
  RowVector<double>& mean = difference_;
  mean.setZero();
  for (const Index i : set) mean += target_.row(i);
  mean /= static_cast<double>(size);
  for (Index m = 0; m < size; ++m) {
    const Index i = set[static_cast<std::size_t>(m)];
    centred_.row(m) = target_.row(i) - mean;
    place_[static_cast<std::size_t>(i)] = m;
  }
  product_.setZero();
  for (Index m = 0; m < size; ++m) {
    const Index i = set[static_cast<std::size_t>(m)];
    double outside = degrees_[static_cast<std::size_t>(i)];
    const auto neighbors = graph_.neighbors_of(i);
    const auto weights = graph_.weights_of(i);
    const auto add_edge = [&](Index other, double weight) {
      outside -= weight;
      if (other > m) return;  // each edge once
      difference_ = centred_.row(m) - centred_.row(other);
      add_outer(weight, difference_.data(), product_);
    };
    if (neighbors.size() > kHub * set.size()) {
      for (Index other = 0; other < size; ++other) {
        const Index j = set[static_cast<std::size_t>(other)];
        const auto found = std::lower_bound(neighbors.begin(), neighbors.end(), j);
        if (found == neighbors.end() || *found != j) continue;
        add_edge(other, weights[static_cast<std::size_t>(found - neighbors.begin())]);
      }
    } else {
      for (std::size_t e = 0; e < neighbors.size(); ++e) {
        const Index other = place_[static_cast<std::size_t>(neighbors[e])];
        if (other >= 0) add_edge(other, weights[e]);
      }
    }
    add_outer(2 * outside, centred_.data() + m * k, product_);
  }
  for (const Index i : set) place_[static_cast<std::size_t>(i)] = -1;
  double squares = 0.0;
  for (Index r = 0; r < k; ++r) {
    for (Index c = 0; c < r; ++c) squares += 2 * product_(r, c) * product_(r, c);
    squares += product_(r, r) * product_(r, r);
  }
  return std::sqrt(squares) / static_cast<double>(size - 1);
}

double variation_edge_cost(const std::vector<double>& degrees, const Matrix<double>& target,
                           Index i, Index j) {
  return (degrees[static_cast<std::size_t>(i)] + degrees[static_cast<std::size_t>(j)]) / 2 *
         (target.row(i) - target.row(j)).squaredNorm();
}

}  // namespace ecseq::compress
