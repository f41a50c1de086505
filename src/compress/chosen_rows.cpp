#include "chosen_rows.hpp"

#include <string>

#include "distinct_rows.hpp"
#include "ecseq/compress/nearest_representative.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/sequences.hpp"

namespace ecseq::compress {

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
  require_distinct_rows(x, k);
}

Compression represent_by_rows(MatrixView<float> x, MatrixView<float> labels,
                              const std::vector<Index>& chosen, Index n_cases, int threads) {
  Compression out;
  out.representatives.vectors = take_rows(x, chosen);
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

}  // namespace ecseq::compress
