#include "ecseq/relation/series_relation.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ecseq/compress/compressor.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"

namespace ecseq::relation {
namespace {

constexpr Index kChunk = 16;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// The last `lags` steps of each series, every channel standardised by itself. A channel whose
/// spread float cannot tell from the rounding of its mean does not vary: zeros.
/// [S, lags * channels]
Matrix<float> standardised(MatrixView<float> history, Index channels, Index lags) {
  const Index steps = std::min(lags, history.cols / channels);
  const Index first = history.cols - steps * channels;
  Matrix<float> out(history.rows, steps * channels);
  for (Index s = 0; s < history.rows; ++s) {
    const float* x = history.row(s) + first;
    for (Index c = 0; c < channels; ++c) {
      double sum = 0.0, squares = 0.0;
      for (Index t = 0; t < steps; ++t) sum += x[t * channels + c];
      const double mean = sum / static_cast<double>(steps);
      for (Index t = 0; t < steps; ++t) {
        const double centred = x[t * channels + c] - mean;
        squares += centred * centred;
      }
      const double std = std::sqrt(squares / static_cast<double>(steps));
      const bool constant = std <= 1e-6 * std::max(1e-30, std::abs(mean));
      for (Index t = 0; t < steps; ++t) {
        const double centred = x[t * channels + c] - mean;
        out(s, t * channels + c) = constant ? 0.0F : static_cast<float>(centred / std);
      }
    }
  }
  return out;
}

double squared_norm(const float* x, Index n) {
  double sum = 0.0;
  for (Index i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

float correlation(const float* a, const float* b, Index n) {
  double sum = 0.0;
  for (Index i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return static_cast<float>(sum);
}

/// Rows of length 1; those without a direction stay zeros.
void normalise_rows(Matrix<float>& x) {
  for (Index i = 0; i < x.rows(); ++i) {
    float* row = x.data() + i * x.cols();
    const double norm = std::sqrt(squared_norm(row, x.cols()));
    if (norm <= 0.0) continue;
    for (Index j = 0; j < x.cols(); ++j) row[j] = static_cast<float>(row[j] / norm);
  }
}

}  // namespace

void validate(const SeriesOptions& options) {
  compress::require_compressor("compressor", options.compressor);
  require_one_of("attach", options.attach, {"knn", "correlation"});
  if (options.n_representatives < 0) {
    throw InvalidArgument("n_representatives: expected at least 1, got " +
                          std::to_string(options.n_representatives));
  }
  require_at_least("n_neighbors", options.n_neighbors, 1);
  require_at_least("lags", options.lags, 2);
  if (!(options.min_correlation >= -1.0 && options.min_correlation <= 1.0)) {
    throw InvalidArgument("min_correlation: expected a correlation in [-1, 1], got " +
                          std::to_string(options.min_correlation));
  }
}

SeriesRelation::SeriesRelation(MatrixView<float> history, Index channels,
                               const SeriesOptions& options, std::uint64_t seed, int num_threads,
                               const ProgressCallback& progress)
    : options_(options) {
  validate(options);
  const Index n = history.rows;
  Matrix<float> series = standardised(history, channels, options.lags);
  for (Index s = 0; s < n; ++s) {
    if (squared_norm(series.row(s).data(), series.cols()) <= 0.0) constant_.push_back(s);
  }
  const Index wanted =
      options.n_representatives > 0 ? options.n_representatives : std::max<Index>(1, (n + 2) / 3);
  if (wanted >= n) {
    assignment_.resize(at(n));
    std::iota(assignment_.begin(), assignment_.end(), std::int64_t{0});
    mass_.assign(at(n), 1);
    if (wanted > n) {
      note_ = "there are " + std::to_string(n) + " series: each is its own representative";
    }
  } else {
    compress::CompressorOptions how;
    how.method = options.compressor;
    how.custom = options.custom;
    // Series that do not vary are all alike.
    how.n_representatives = compress::count_distinct_rows(series, wanted);
    how.n_cases = 1;
    how.n_neighbors = std::min<Index>(how.n_neighbors, n - 1);
    how.seed = seed;
    how.num_threads = num_threads;
    const Matrix<float> no_labels = Matrix<float>::Zero(n, 1);
    auto found =
        compress::compress({series, no_labels, std::vector<int>(at(n), 0), nullptr}, how, progress);
    assignment_ = std::move(found.assignment);
    note_ = found.report.note;
    mass_.assign(found.representatives.mass.size(), 0);
    for (const auto k : assignment_) ++mass_[static_cast<std::size_t>(k)];
  }
  attach(series, num_threads, progress);
}

void SeriesRelation::attach(const Matrix<float>& series, int num_threads,
                            const ProgressCallback& progress) {
  const Index n = n_series(), k = n_representatives(), d = series.cols();
  Matrix<float> representatives(k, d);
  represent(series.data(), d, representatives.data());
  normalise_rows(representatives);
  Matrix<float> unit = series;
  normalise_rows(unit);
  struct Attached {
    std::vector<std::int64_t> representative;
    std::vector<float> correlation;
    bool isolated = false;
  };
  std::vector<Attached> attached(at(n));
  const auto attach_chunk = [&](Index begin, Index end) {
    std::vector<float> all(at(k));
    std::vector<std::int64_t> order(at(k));
    for (Index s = begin; s < end; ++s) {
      for (Index j = 0; j < k; ++j) {
        all[at(j)] = correlation(unit.row(s).data(), representatives.row(j).data(), d);
      }
      std::iota(order.begin(), order.end(), std::int64_t{0});
      std::stable_sort(order.begin(), order.end(),
                       [&](auto a, auto b) { return all[at(a)] > all[at(b)]; });
      Attached& out = attached[at(s)];
      Index count = std::min(options_.n_neighbors, k);
      if (options_.attach == "correlation") {
        const auto enough = static_cast<float>(options_.min_correlation);
        count = 0;
        while (count < k && all[at(order[at(count)])] >= enough) ++count;
        out.isolated = count == 0;
        count = std::max<Index>(count, 1);
      }
      for (Index j = 0; j < count; ++j) {
        out.representative.push_back(order[at(j)]);
        out.correlation.push_back(all[at(order[at(j)])]);
      }
    }
  };
  // Some ten milliseconds of correlations between two looks at the callback.
  const Index wave = std::max(kChunk, Index{20'000'000} / (k * d));
  for (Index first = 0; first < n; first += wave) {
    report(progress, {"attach", first, n, ""});
    parallel_chunks(std::min(wave, n - first), kChunk, num_threads,
                    [&](Index begin, Index end) { attach_chunk(first + begin, first + end); });
  }
  offsets_.assign(1, 0);
  double isolated = 0.0;
  for (const auto& one : attached) {
    isolated += one.isolated ? 1.0 : 0.0;
    const bool knn = options_.attach == "knn";
    double total = 0.0;
    for (const float c : one.correlation) {
      total += knn ? std::exp(kSharpness * (c - one.correlation.front())) : 1.0;
    }
    for (std::size_t j = 0; j < one.representative.size(); ++j) {
      const float c = one.correlation[j];
      const double weight = knn ? std::exp(kSharpness * (c - one.correlation.front())) : 1.0;
      representative_.push_back(one.representative[j]);
      correlation_.push_back(c);
      weight_.push_back(static_cast<float>(weight / total));
    }
    offsets_.push_back(static_cast<std::int64_t>(representative_.size()));
  }
  isolation_rate_ = isolated / static_cast<double>(n);
}

std::vector<std::int64_t> SeriesRelation::members(Index k) const {
  std::vector<std::int64_t> out;
  for (Index s = 0; s < n_series(); ++s) {
    if (assignment_[at(s)] == k) out.push_back(s);
  }
  return out;
}

SeriesRelation::Neighbourhood SeriesRelation::neighbourhood(Index series) const {
  const auto begin = at(offsets_[at(series)]), size = at(offsets_[at(series) + 1]) - begin;
  return {{representative_.data() + begin, size},
          {weight_.data() + begin, size},
          {correlation_.data() + begin, size}};
}

void SeriesRelation::represent(const float* e, Index d, float* out) const {
  std::fill_n(out, n_representatives() * d, 0.0F);
  for (Index s = 0; s < n_series(); ++s) {
    float* sum = out + assignment_[at(s)] * d;
    for (Index j = 0; j < d; ++j) sum[j] += e[s * d + j];
  }
  for (Index k = 0; k < n_representatives(); ++k) {
    const float share = 1.0F / static_cast<float>(mass_[at(k)]);
    for (Index j = 0; j < d; ++j) out[k * d + j] *= share;
  }
}

void SeriesRelation::aggregate(Index series, const float* representatives, Index d,
                               float* out) const {
  std::fill_n(out, d, 0.0F);
  const Neighbourhood heard = neighbourhood(series);
  for (std::size_t e = 0; e < heard.weight.size(); ++e) {
    const float* x = representatives + heard.representative[e] * d;
    for (Index j = 0; j < d; ++j) out[j] += heard.weight[e] * x[j];
  }
}

void SeriesRelation::save(io::TensorFile& file, const std::string& prefix) const {
  file.integers[prefix + "assignment"] = assignment_;
  file.integers[prefix + "offsets"] = offsets_;
  file.integers[prefix + "representative"] = representative_;
  const auto count = static_cast<Index>(weight_.size());
  file.floats[prefix + "weight"] = MatrixView<float>(weight_.data(), 1, count).eigen();
  file.floats[prefix + "correlation"] = MatrixView<float>(correlation_.data(), 1, count).eigen();
  file.integers[prefix + "constant"] = constant_;
  file.doubles[prefix + "isolation_rate"] = {isolation_rate_};
}

SeriesRelation SeriesRelation::load(const io::TensorFile& file, const std::string& prefix,
                                    const SeriesOptions& options) {
  const auto get = [&](const auto& map, const char* name) -> const auto& {
    const auto found = map.find(prefix + name);
    if (found == map.end()) {
      throw FileError("model file: tensor '" + prefix + name + "' is missing");
    }
    return found->second;
  };
  const auto expect = [&](bool holds, const char* name) {
    if (holds) return;
    throw FileError("model file: tensor '" + prefix + name + "' does not fit the others");
  };
  SeriesRelation out;
  out.options_ = options;
  out.assignment_ = get(file.integers, "assignment");
  out.offsets_ = get(file.integers, "offsets");
  out.representative_ = get(file.integers, "representative");
  out.constant_ = get(file.integers, "constant");
  const auto& isolation = get(file.doubles, "isolation_rate");
  expect(isolation.size() == 1 && isolation[0] >= 0.0 && isolation[0] <= 1.0, "isolation_rate");
  out.isolation_rate_ = isolation[0];
  const Index n = out.n_series();
  // There are at most as many representatives as series, each with a member.
  const bool in_range = n > 0 && std::all_of(out.assignment_.begin(), out.assignment_.end(),
                                             [&](std::int64_t k) { return k >= 0 && k < n; });
  expect(in_range, "assignment");
  const auto k = *std::max_element(out.assignment_.begin(), out.assignment_.end()) + 1;
  out.mass_.assign(at(k), 0);
  for (const auto j : out.assignment_) ++out.mass_[at(j)];
  expect(std::find(out.mass_.begin(), out.mass_.end(), 0) == out.mass_.end(), "assignment");
  const auto edges = out.representative_.size();
  expect(out.offsets_.size() == at(n) + 1 && out.offsets_.front() == 0 &&
             out.offsets_.back() == static_cast<std::int64_t>(edges) &&
             std::is_sorted(out.offsets_.begin(), out.offsets_.end()),
         "offsets");
  expect(std::all_of(out.representative_.begin(), out.representative_.end(),
                     [&](std::int64_t j) { return j >= 0 && j < k; }),
         "representative");
  expect(std::all_of(out.constant_.begin(), out.constant_.end(),
                     [&](std::int64_t s) { return s >= 0 && s < n; }),
         "constant");
  const auto take = [&](const char* name, std::vector<float>& to) {
    const SharedMatrix& tensor = get(file.floats, name);
    expect(tensor.rows() == 1 && tensor.cols() == static_cast<Index>(edges) &&
               tensor.eigen().allFinite(),
           name);
    to.assign(tensor.data(), tensor.data() + tensor.size());
  };
  take("weight", out.weight_);
  take("correlation", out.correlation_);
  return out;
}

}  // namespace ecseq::relation
