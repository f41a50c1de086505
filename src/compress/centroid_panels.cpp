#include "centroid_panels.hpp"

#include <algorithm>
#include <numeric>

namespace ecseq::compress {
namespace {

using Member = std::vector<Index>::iterator;

/// By how far each centroid of a set lies along the set's direction of the largest variance, found
/// by a few power iterations: a good cut is wanted, not an eigenvector. Indexed by centroid.
void project(MatrixView<float> centroids, Member begin, Member end,
             std::vector<double>& projection) {
  constexpr int kPowerIterations = 8;
  Matrix<double> points(end - begin, centroids.cols);
  for (Member i = begin; i != end; ++i) {
    points.row(i - begin) = centroids.eigen().row(*i).cast<double>();
  }
  points.rowwise() -= points.colwise().mean().eval();
  Index farthest = 0;
  points.rowwise().squaredNorm().maxCoeff(&farthest);
  Eigen::VectorXd direction = points.row(farthest).transpose();
  for (int i = 0; i < kPowerIterations && direction.squaredNorm() > 0.0; ++i) {
    direction.normalize();
    direction = (points.transpose() * (points * direction)).eval();
  }
  const Eigen::VectorXd along = points * direction;
  for (Member i = begin; i != end; ++i) {
    projection[static_cast<std::size_t>(*i)] = along[i - begin];
  }
}

void bisect(MatrixView<float> centroids, Index width, Member begin, Member end,
            std::vector<double>& projection) {
  const Index panels = (end - begin + width - 1) / width;
  if (panels <= 1) {
    std::sort(begin, end);
    return;
  }
  project(centroids, begin, end, projection);
  const Member middle = begin + panels / 2 * width;
  std::nth_element(begin, middle, end, [&projection](Index a, Index b) {
    const double at_a = projection[static_cast<std::size_t>(a)];
    const double at_b = projection[static_cast<std::size_t>(b)];
    return at_a != at_b ? at_a < at_b : a < b;
  });
  bisect(centroids, width, begin, middle, projection);
  bisect(centroids, width, middle, end, projection);
}

}  // namespace

std::vector<Index> order_in_panels(MatrixView<float> centroids, Index width) {
  std::vector<Index> order(static_cast<std::size_t>(centroids.rows));
  std::iota(order.begin(), order.end(), Index{0});
  std::vector<double> projection(order.size());
  bisect(centroids, width, order.begin(), order.end(), projection);
  return order;
}

}  // namespace ecseq::compress
