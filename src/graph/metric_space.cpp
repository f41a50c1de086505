#include "metric_space.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "ecseq/core/error.hpp"
#include "ecseq/core/squared_distance.hpp"

namespace ecseq::graph {
namespace {

constexpr double kLargestSquare = 1e36;

double squared_norm(const float* x, Index d) {
  double sum = 0.0;
  for (Index k = 0; k < d; ++k) sum += static_cast<double>(x[k]) * x[k];
  return sum;
}

}  // namespace

MetricSpace::MetricSpace(MatrixView<float> x, const std::string& metric)
    : cosine_(metric == "cosine"), rows_(x.rows, x.cols) {
  RowVector<double> mean = RowVector<double>::Zero(x.cols);
  if (!cosine_ && x.rows > 0) {
    for (Index i = 0; i < x.rows; ++i) mean += x.eigen().row(i).cast<double>();
    mean /= static_cast<double>(x.rows);
  }
  for (Index i = 0; i < x.rows; ++i) {
    const double norm = cosine_ ? std::sqrt(squared_norm(x.row(i), x.cols)) : 1.0;
    const double scale = norm > 0.0 ? 1.0 / norm : 0.0;
    for (Index k = 0; k < x.cols; ++k) {
      rows_(i, k) = static_cast<float>((x(i, k) - mean[k]) * scale);
    }
    squared_norms_.push_back(squared_norm(rows_.row(i).data(), x.cols));
    if (squared_norms_.back() > kLargestSquare) {
      throw InvalidArgument("X: row " + std::to_string(i) +
                            " is too far from the mean for distances in float; rescale X");
    }
  }
}

kernels::PackedDense MetricSpace::pack(const Matrix<float>& rows) const {
  if (!cosine_) return kernels::pack_points(rows);
  return {Matrix<float>(rows.transpose()), nullptr, kernels::kNoScore};
}

double MetricSpace::distance(Index i, Index j) const {
  const float* a = rows_.row(i).data();
  const float* b = rows_.row(j).data();
  if (!cosine_) return std::sqrt(squared_distance(a, b, rows_.cols()));
  double sum = 0.0;
  for (Index k = 0; k < rows_.cols(); ++k) sum += static_cast<double>(a[k]) * b[k];
  return std::clamp(1.0 - sum, 0.0, 2.0);
}

MetricSpace::Score MetricSpace::score_at(Index i, double distance) const {
  // |a - b| <= r: a.b - |b|^2 / 2 >= (|a|^2 - r^2) / 2; the norm of b is at most |a| + r.
  const double norm = squared_norms_[static_cast<std::size_t>(i)];
  const double largest = cosine_ ? 1.0 : std::pow(std::sqrt(norm) + distance, 2);
  return {cosine_ ? 1.0 - distance : 0.5 * (norm - distance * distance),
          2e-7 * static_cast<double>(rows_.cols() + 4) * largest + 1e-30};
}

float MetricSpace::score_within(Index i, double distance) const {
  const Score score = score_at(i, distance);
  return static_cast<float>(std::max<double>(kernels::kNoScore, score.value - score.rounding));
}

float MetricSpace::score_surely_within(Index i, double distance) const {
  const Score score = score_at(i, distance);
  return static_cast<float>(std::max<double>(kernels::kNoScore, score.value + score.rounding));
}

}  // namespace ecseq::graph
