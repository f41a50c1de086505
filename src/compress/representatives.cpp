#include "ecseq/compress/representatives.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "distinct_rows.hpp"
#include "ecseq/core/squared_distance.hpp"

namespace ecseq::compress {
namespace {

/// The distance within which kWithinRadius of `squared` lie, of which there is at least one;
/// reorders them.
double radius_of(std::vector<double>& squared) {
  const auto covered =
      static_cast<std::size_t>(std::ceil(kWithinRadius * static_cast<double>(squared.size())));
  const auto last = squared.begin() + static_cast<std::ptrdiff_t>(covered) - 1;
  std::nth_element(squared.begin(), last, squared.end());
  return std::sqrt(*last);
}

/// squared: [N], of each row from its representative.
std::vector<double> radii(std::vector<double> squared, const std::vector<std::int64_t>& assignment,
                          std::size_t k) {
  constexpr std::size_t kEnough = 10;
  std::vector<std::vector<double>> members(k);
  for (std::size_t i = 0; i < squared.size(); ++i) {
    members[static_cast<std::size_t>(assignment[i])].push_back(squared[i]);
  }
  std::vector<double> out(k, squared.empty() ? 0.0 : radius_of(squared));
  for (std::size_t j = 0; j < k; ++j) {
    if (members[j].size() >= kEnough) out[j] = radius_of(members[j]);
  }
  return out;
}

}  // namespace

void describe(Representatives& representatives, MatrixView<float> x, MatrixView<float> labels,
              const std::vector<std::int64_t>& assignment, Index n_cases) {
  const Index k = representatives.size();
  const auto size = static_cast<std::size_t>(k);
  representatives.mass.assign(size, 0.0);
  representatives.spread.assign(size, 0.0);
  representatives.label_sums = Matrix<double>::Zero(k, labels.cols);
  representatives.cases = Matrix<std::int64_t>::Constant(k, n_cases, -1);
  Matrix<double> case_distance = Matrix<double>::Zero(k, n_cases);
  std::vector<double> distances(assignment.size());
  for (Index i = 0; i < x.rows; ++i) {
    const Index j = assignment[static_cast<std::size_t>(i)];
    const double distance =
        squared_distance(x.row(i), representatives.vectors.row(j).data(), x.cols);
    distances[static_cast<std::size_t>(i)] = distance;
    representatives.mass[static_cast<std::size_t>(j)] += 1.0;
    representatives.spread[static_cast<std::size_t>(j)] += distance;
    for (Index c = 0; c < labels.cols; ++c) representatives.label_sums(j, c) += labels(i, c);
    // Insert into the short sorted list of nearest members; earlier rows win ties.
    Index place = n_cases;
    while (place > 0 &&
           (representatives.cases(j, place - 1) < 0 || case_distance(j, place - 1) > distance)) {
      --place;
    }
    for (Index m = n_cases - 1; m > place; --m) {
      representatives.cases(j, m) = representatives.cases(j, m - 1);
      case_distance(j, m) = case_distance(j, m - 1);
    }
    if (place < n_cases) {
      representatives.cases(j, place) = i;
      case_distance(j, place) = distance;
    }
  }
  for (std::size_t j = 0; j < size; ++j) {
    representatives.spread[j] /= std::max(1.0, representatives.mass[j]);
  }
  representatives.radius = radii(std::move(distances), assignment, size);
}

Index count_distinct_rows(MatrixView<float> x, Index enough) {
  DistinctRows distinct(x);
  for (Index i = 0; i < x.rows && distinct.size() < enough; ++i) distinct.insert(i);
  return distinct.size();
}

}  // namespace ecseq::compress
