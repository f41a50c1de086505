#include "chosen_rows.hpp"

#include <string>

#include "ecseq/compress/nearest_representative.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/sequences.hpp"

namespace ecseq::compress {
DistinctRows::DistinctRows(MatrixView<float> x) : values_(x.eigen().array() + 0.0F) {}

std::string_view DistinctRows::bytes(Index row) const {
  return {reinterpret_cast<const char*>(values_.row(row).data()),
          static_cast<std::size_t>(values_.cols()) * sizeof(float)};
}

double objective(const Representatives& representatives) {
  double sum = 0.0;
  for (std::size_t j = 0; j < representatives.mass.size(); ++j) {
    sum += representatives.spread[j] * representatives.mass[j];
  }
  return sum;
}

void require_compressible(MatrixView<float> x, MatrixView<float> labels, Index k) {
  require_finite(x, "X");
  if (labels.rows != x.rows) {
    throw InvalidArgument("labels: expected a row for each of the " + std::to_string(x.rows) +
                          " rows of X, got " + std::to_string(labels.rows));
  }
  if (k < 1) {
    throw InvalidArgument("n_representatives: expected at least 1, got " + std::to_string(k));
  }
  const Index distinct = count_distinct_rows(x, k);
  if (distinct < k) {
    throw InvalidArgument("n_representatives: " + std::to_string(k) +
                          " asked for, but X has only " + std::to_string(distinct) +
                          " distinct rows");
  }
}

Compression represent_by_rows(MatrixView<float> x, MatrixView<float> labels,
                              const std::vector<Index>& chosen, Index n_cases, int threads) {
  Compression out;
  out.representatives.vectors = take_rows(x, chosen);
  // Relative to the mean, which keeps the rounding of |x|^2 - 2 x.c small.
  out.assignment = nearest_representative(out.representatives.vectors, x, threads);
  // Whatever the rounding between rows that are almost equal, a chosen row stands for itself.
  for (std::size_t j = 0; j < chosen.size(); ++j) {
    out.assignment[static_cast<std::size_t>(chosen[j])] = static_cast<std::int64_t>(j);
  }
  describe(out.representatives, x, labels, out.assignment, n_cases);
  out.report.objective = objective(out.representatives);
  out.report.points_used = x.rows;
  return out;
}

Compression represent_by_means(MatrixView<float> x, MatrixView<float> labels,
                               const std::vector<std::int64_t>& group, Index n_groups,
                               Index n_cases) {
  Matrix<double> sums = Matrix<double>::Zero(n_groups, x.cols);
  std::vector<double> count(static_cast<std::size_t>(n_groups), 0.0);
  for (Index i = 0; i < x.rows; ++i) {
    const auto g = group[static_cast<std::size_t>(i)];
    sums.row(g) += x.eigen().row(i).cast<double>();
    count[static_cast<std::size_t>(g)] += 1.0;
  }
  Matrix<float> means(n_groups, x.cols);
  for (Index g = 0; g < n_groups; ++g) {
    const double members = count[static_cast<std::size_t>(g)];
    means.row(g) = (sums.row(g) / (members > 0.0 ? members : 1.0)).cast<float>();
  }
  DistinctRows distinct(means);
  std::vector<Index> kept;
  std::vector<std::int64_t> number(static_cast<std::size_t>(n_groups), -1);
  for (Index g = 0; g < n_groups; ++g) {
    if (count[static_cast<std::size_t>(g)] == 0.0) continue;
    auto& own = number[static_cast<std::size_t>(g)];
    if (distinct.insert(g)) {
      own = static_cast<std::int64_t>(kept.size());
      kept.push_back(g);
      continue;
    }
    for (std::size_t other = 0; own < 0; ++other) {
      if (distinct.equal(kept[other], g)) own = static_cast<std::int64_t>(other);
    }
  }
  Compression out;
  out.representatives.vectors = take_rows<float>(means, kept);
  for (const auto g : group) out.assignment.push_back(number[static_cast<std::size_t>(g)]);
  describe(out.representatives, x, labels, out.assignment, n_cases);
  out.report.objective = objective(out.representatives);
  out.report.points_used = x.rows;
  return out;
}

}  // namespace ecseq::compress
