#include "ecseq/graph/laplacian.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "ecseq/core/parallel.hpp"

namespace ecseq::graph {
namespace {

constexpr Index kChunk = 2048;

// Columns of a block taken at a time: two cache lines of a neighbour's row, in registers.
constexpr int kPanel = 16;
constexpr std::size_t kAhead = 16;

/// sum = sum_j w_ij scale_j x_j over the neighbours, as many columns from `column` on as sum has.
template <class Sum>
void sum_neighbors(const SparseGraph& graph, const std::vector<double>& scale, Index i,
                   const Matrix<double>& x, Index column, Sum& sum) {
  const auto begin = static_cast<std::size_t>(graph.offsets[static_cast<std::size_t>(i)]);
  const auto end = static_cast<std::size_t>(graph.offsets[static_cast<std::size_t>(i) + 1]);
  const auto row = [&](std::size_t entry) {
    return x.data() + graph.neighbors[entry] * x.cols() + column;
  };
  for (std::size_t e = begin; e < end; ++e) {
    // Neighbours lie anywhere: their rows are asked for before their turn, across the row's end.
    const double* soon = row(std::min(e + kAhead, graph.neighbors.size() - 1));
    __builtin_prefetch(soon);
    if (sum.size() == kPanel) __builtin_prefetch(soon + kPanel / 2);
    const auto j = static_cast<std::size_t>(graph.neighbors[e]);
    sum += (graph.weights[e] * scale[j]) * Eigen::Map<const Sum>(row(e), sum.size());
  }
}

/// sum_j w_ij x_j of one vector, in four sums by the neighbours' places, so that no addition waits
/// for the one before.
double sum_neighbors(const SparseGraph& graph, Index i, const double* x) {
  const auto neighbors = graph.neighbors_of(i);
  const auto weights = graph.weights_of(i);
  std::array<double, 4> sums{};
  std::size_t e = 0;
  for (; e + sums.size() <= neighbors.size(); e += sums.size()) {
    for (std::size_t s = 0; s < sums.size(); ++s) sums[s] += weights[e + s] * x[neighbors[e + s]];
  }
  for (std::size_t s = 0; e < neighbors.size(); ++e, ++s) sums[s] += weights[e] * x[neighbors[e]];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

std::vector<double> weighted_degrees(const SparseGraph& graph) {
  std::vector<double> degrees(static_cast<std::size_t>(graph.size()), 0.0);
  for (Index i = 0; i < graph.size(); ++i) {
    for (const float weight : graph.weights_of(i)) degrees[static_cast<std::size_t>(i)] += weight;
  }
  return degrees;
}

Laplacian::Laplacian(const SparseGraph& graph, LaplacianKind kind)
    : Laplacian(graph, kind == LaplacianKind::kNormalized
                           ? weighted_degrees(graph)
                           : std::vector<double>(static_cast<std::size_t>(graph.size()), 1.0)) {}

Laplacian::Laplacian(const SparseGraph& graph, std::vector<double> masses)
    : graph_(graph), degrees_(weighted_degrees(graph)), masses_(std::move(masses)) {
  for (std::size_t i = 0; i < masses_.size(); ++i) {
    diagonal_.push_back(masses_[i] > 0 ? degrees_[i] / masses_[i] : 0.0);
    scale_.push_back(masses_[i] > 0 ? 1.0 / std::sqrt(masses_[i]) : 0.0);
  }
  plain_ = std::all_of(masses_.begin(), masses_.end(), [](double mass) { return mass == 1.0; });
}

void Laplacian::apply(double alpha, const Matrix<double>& x, double beta, double gamma,
                      Matrix<double>& y, int threads) const {
  y.resize(x.rows(), x.cols());
  if (x.cols() == 1 && plain_) {
    parallel_chunks(size(), kChunk, threads, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        const double sum = (alpha * diagonal_[static_cast<std::size_t>(i)] + beta) * x(i, 0) -
                           alpha * sum_neighbors(graph_, i, x.data());
        y(i, 0) = gamma == 0.0 ? sum : sum + gamma * y(i, 0);
      }
    });
    return;
  }
  const auto rows = [&](auto sum, Index i, Index column) {
    const auto at = static_cast<std::size_t>(i);
    sum.setZero();
    sum_neighbors(graph_, scale_, i, x, column, sum);
    const Index offset = i * x.cols() + column;
    const Eigen::Map<const decltype(sum)> from(x.data() + offset, sum.size());
    Eigen::Map<decltype(sum)> to(y.data() + offset, sum.size());
    sum = (alpha * diagonal_[at] + beta) * from - (alpha * scale_[at]) * sum;
    if (gamma == 0.0) {
      to = sum;
    } else {
      to = sum + gamma * to;
    }
  };
  parallel_chunks(size(), kChunk, threads, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      Index column = 0;
      for (; column + kPanel <= x.cols(); column += kPanel) {
        rows(Eigen::Array<double, kPanel, 1>(), i, column);
      }
      for (; column < x.cols(); ++column) rows(Eigen::Array<double, 1, 1>(), i, column);
    }
  });
}

double Laplacian::upper_bound() const {
  double bound = 0.0;
  for (Index i = 0; i < size(); ++i) {
    for (const auto j : graph_.neighbors_of(i)) {
      bound = std::max(
          bound, diagonal_[static_cast<std::size_t>(i)] + diagonal_[static_cast<std::size_t>(j)]);
    }
  }
  return bound;
}

Eigen::SparseMatrix<double, Eigen::RowMajor> Laplacian::sparse() const {
  std::vector<Eigen::Triplet<double>> entries;
  entries.reserve(graph_.neighbors.size() + degrees_.size());
  for (Index i = 0; i < size(); ++i) {
    const auto row = static_cast<int>(i);
    entries.emplace_back(row, row, diagonal_[static_cast<std::size_t>(i)]);
    const auto neighbors = graph_.neighbors_of(i);
    for (std::size_t e = 0; e < neighbors.size(); ++e) {
      entries.emplace_back(row, neighbors[e],
                           -graph_.weights_of(i)[e] * scale_[static_cast<std::size_t>(i)] *
                               scale_[static_cast<std::size_t>(neighbors[e])]);
    }
  }
  Eigen::SparseMatrix<double, Eigen::RowMajor> out(size(), size());
  out.setFromTriplets(entries.begin(), entries.end());
  return out;
}

}  // namespace ecseq::graph
