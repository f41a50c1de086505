#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "centred.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/kernels/nearest.hpp"
#include "ecseq/kernels/softmax.hpp"
#include "ecseq/relation/similarity_relation.hpp"

// How targets find their representatives, and what they then hear.

namespace ecseq::relation {
namespace {

constexpr Index kChunk = 256;
/// Scores of a chunk of rows against all representatives that are held at once.
constexpr Index kScores = Index{1} << 20;

/// Squared distances, rising, become weights: exp(-2 (d_j - d_0) / mean of d), to sum 1; all alike
/// where none is away from the target. x: [n], whole vectors of it readable and writable
void weigh(float* x, Index n) {
  if (n == 0) return;
  const float mean = std::accumulate(x, x + n, 0.0f) / static_cast<float>(n);
  const float total = mean > 0.0f ? kernels::exponentials(x, n, x[0], -2.0f / mean) : 1.0f;
  for (Index j = 0; j < n; ++j) x[j] = mean > 0.0f ? x[j] / total : 1.0f / static_cast<float>(n);
}

/// At most k of the representatives found, nearest first, weighted by their squared distances.
Neighbourhood weighted(const std::int64_t* index, const float* distance, Index found, Index k,
                       Index except) {
  Neighbourhood out;
  std::vector<float> kept;
  for (Index j = 0; j < found && static_cast<Index>(kept.size()) < k; ++j) {
    if (index[j] == except) continue;
    out.representative.push_back(index[j]);
    kept.push_back(distance[j]);
  }
  out.weight = kept;
  out.weight.resize(static_cast<std::size_t>(kernels::round_up<float>(kept.size())));
  weigh(out.weight.data(), static_cast<Index>(kept.size()));
  out.weight.resize(kept.size());
  return out;
}

}  // namespace

/// The k nearest of each row but `except` (negative: none). scaled: [rows, h], standardised.
std::vector<Neighbourhood> SimilarityRelation::nearest(const float* scaled, Index rows,
                                                       const std::int64_t* except) const {
  const Index k = options_.n_neighbors, search = std::min(k + 1, representatives_.size());
  std::vector<float> scratch, distance(static_cast<std::size_t>(rows * search));
  std::vector<std::int64_t> index(distance.size());
  kernels::nearest(points_, scaled, rows, search, index.data(), distance.data(), scratch);
  std::vector<Neighbourhood> out;
  for (Index i = 0; i < rows; ++i) {
    out.push_back(weighted(index.data() + i * search, distance.data() + i * search, search, k,
                           except != nullptr ? except[i] : -1));
  }
  return out;
}

/// product: of a row of this norm and a unit vector.
bool SimilarityRelation::is_near(float product, float norm) const {
  if (options_.attach == "correlation") {
    return product >= static_cast<float>(options_.min_correlation * norm);
  }
  return product > static_cast<float>(options_.epsilon * norm);
}

/// Every representative whose cosine or correlation with each row is high enough, equal weights.
std::vector<Neighbourhood> SimilarityRelation::beyond_threshold(const float* x, Index rows,
                                                                const std::int64_t* except) const {
  const Index h = directions_.in();
  const bool correlation = options_.attach == "correlation";
  std::vector<float> centred, scores(static_cast<std::size_t>(rows * directions_.padded()));
  if (correlation) {
    centred.resize(static_cast<std::size_t>(rows * h));
    for (Index i = 0; i < rows; ++i) centre(x + i * h, h, centred.data() + i * h);
    x = centred.data();
  }
  kernels::multiply(directions_, x, h, rows, scores.data());
  std::vector<Neighbourhood> out(static_cast<std::size_t>(rows));
  for (Index i = 0; i < rows; ++i) {
    Neighbourhood& found = out[static_cast<std::size_t>(i)];
    const float norm = std::sqrt(kernels::squared_norm(x + i * h, h));
    if (!(norm > 0.0f)) continue;  // of no direction; a constant correlates with nothing
    const float* score = scores.data() + i * directions_.padded();
    for (Index j = 0; j < representatives_.size(); ++j) {
      if (is_near(score[j], norm) && !(except != nullptr && except[i] == j))
        found.representative.push_back(j);
    }
    found.weight.assign(found.representative.size(),
                        1.0f / static_cast<float>(found.representative.size()));
  }
  return out;
}

/// x: [rows, h]; except: [rows] or null, a representative that a row may not be attached to.
std::vector<Neighbourhood> SimilarityRelation::attach(const float* x, Index rows,
                                                      const std::int64_t* except) const {
  const Index h = scaled_vectors_.cols();
  const auto nearest_of = [&](Index first, Index count) {
    std::vector<float> scaled(static_cast<std::size_t>(count * h));
    for (Index i = 0; i < count; ++i) {
      scaler_.apply(x + (first + i) * h, scaled.data() + i * h);
    }
    return nearest(scaled.data(), count, except != nullptr ? except + first : nullptr);
  };
  if (options_.attach == "knn") return nearest_of(0, rows);
  std::vector<Neighbourhood> out = beyond_threshold(x, rows, except);
  for (Index i = 0; i < rows; ++i) {
    Neighbourhood& found = out[static_cast<std::size_t>(i)];
    if (!found.representative.empty()) continue;
    if (options_.isolated == "nearest") found = std::move(nearest_of(i, 1).front());
    found.isolated = true;
  }
  return out;
}

Neighbourhood SimilarityRelation::attach(const float* x) const {
  return std::move(attach(x, 1, nullptr).front());
}

Neighbours SimilarityRelation::attach(const float* x, Arena& memory) const {
  return attach(MatrixView<float>(x, 1, scaled_vectors_.cols()), memory).front();
}

std::span<const Neighbours> SimilarityRelation::attach(MatrixView<float> x, Arena& memory) const {
  auto* const out = memory.take<Neighbours>(x.rows);
  if (options_.attach == "knn") {
    nearest(x, out, memory);
  } else {
    for (Index i = 0; i < x.rows; ++i) {
      out[i] = beyond_threshold(x.row(i), memory);
      if (out[i].size == 0 && options_.isolated == "nearest") {
        nearest({x.row(i), 1, x.cols}, out + i, memory);
      }
    }
  }
  return {out, static_cast<std::size_t>(x.rows)};
}

/// out: [rows], each row's nearest.
void SimilarityRelation::nearest(MatrixView<float> x, Neighbours* out, Arena& memory) const {
  const Index h = points_.in(), k = std::min<Index>(options_.n_neighbors, representatives_.size());
  const Index padded = kernels::round_up<float>(k);
  float* const scaled = memory.take<float>(x.rows * h);
  float* const scores = memory.take<float>(x.rows * points_.padded());
  auto* const index = memory.take<std::int64_t>(x.rows * k);
  float* const weight = memory.take<float>(x.rows * padded);
  for (Index i = 0; i < x.rows; ++i) scaler_.apply(x.row(i), scaled + i * h);
  // Several rows share what they read of the points, one alone waits for it.
  const bool together = x.rows > 1;
  if (together) kernels::multiply(points_, scaled, h, x.rows, scores);
  for (Index i = 0; i < x.rows; ++i) {
    out[i] = {index + i * k, weight + i * padded, k};
    float* const of_row = weight + i * padded;
    const float squared = kernels::squared_norm(scaled + i * h, h);
    if (together) {
      kernels::select_top(scores + i * points_.padded(), points_.padded(), k, of_row,
                          index + i * k);
    } else {
      kernels::select_nearest(scaled_vectors_, points_, coarse_points_, scaled, std::sqrt(squared),
                              k, scores, of_row, index);
    }
    for (Index j = 0; j < k; ++j) of_row[j] = std::max(0.0f, squared - 2.0f * of_row[j]);
    weigh(of_row, k);
  }
}

Neighbours SimilarityRelation::beyond_threshold(const float* x, Arena& memory) const {
  const Index h = directions_.in();
  const bool correlation = options_.attach == "correlation";
  if (correlation) {
    float* const centred = memory.take<float>(h);
    centre(x, h, centred);
    x = centred;
  }
  const float norm = std::sqrt(kernels::squared_norm(x, h));
  if (!(norm > 0.0f)) return {};  // of no direction; a constant correlates with nothing
  float* const scores = memory.take<float>(directions_.padded());
  auto* const index = memory.take<std::int64_t>(representatives_.size());
  kernels::multiply(directions_, x, h, 1, scores);
  Index found = 0;
  for (Index j = 0; j < representatives_.size(); ++j) {
    if (is_near(scores[j], norm)) index[found++] = j;
  }
  float* const weight = memory.take<float>(found);
  std::fill_n(weight, found, 1.0f / static_cast<float>(found));
  return {index, weight, found};
}

Attachments SimilarityRelation::attach(MatrixView<float> x, std::span<const std::int64_t> except,
                                       int num_threads) const {
  const Index chunk = rows_together();
  std::vector<std::vector<Neighbourhood>> parts(
      static_cast<std::size_t>((x.rows + chunk - 1) / chunk));
  parallel_chunks(x.rows, chunk, num_threads, [&](Index begin, Index end) {
    parts[static_cast<std::size_t>(begin / chunk)] =
        attach(x.row(begin), end - begin, except.empty() ? nullptr : except.data() + begin);
  });
  Attachments out;
  out.offsets.reserve(static_cast<std::size_t>(x.rows) + 1);
  for (const auto& part : parts) {
    for (const Neighbourhood& found : part) {
      out.source.insert(out.source.end(), found.representative.begin(), found.representative.end());
      out.weight.insert(out.weight.end(), found.weight.begin(), found.weight.end());
      out.offsets.push_back(static_cast<Index>(out.source.size()));
      out.isolated += found.isolated;
    }
  }
  return out;
}

/// Rows whose scores are held at once.
Index SimilarityRelation::rows_together() const {
  return std::clamp<Index>(kScores / std::max<Index>(1, points_.padded()), 8, kChunk);
}

/// `attach` of "knn", where every row has as many and nothing needs to be put together.
Attachments SimilarityRelation::attach_nearest(MatrixView<float> x, int num_threads) const {
  const Index k = std::min<Index>(options_.n_neighbors, representatives_.size());
  Attachments out;
  out.offsets.resize(static_cast<std::size_t>(x.rows) + 1);
  for (std::size_t i = 0; i < out.offsets.size(); ++i) out.offsets[i] = static_cast<Index>(i) * k;
  out.source.resize(static_cast<std::size_t>(x.rows * k));
  out.weight.resize(out.source.size());
  parallel_chunks(x.rows, rows_together(), num_threads, [&](Index begin, Index end) {
    Arena memory;
    const auto found = attach({x.row(begin), end - begin, x.cols}, memory);
    for (Index i = begin; i < end; ++i) {
      const Neighbours& row = found[static_cast<std::size_t>(i - begin)];
      std::copy_n(row.representative, k, out.source.data() + i * k);
      std::copy_n(row.weight, k, out.weight.data() + i * k);
    }
  });
  return out;
}

Attachments SimilarityRelation::attach(MatrixView<float> x, int num_threads) const {
  return options_.attach == "knn" ? attach_nearest(x, num_threads) : attach(x, {}, num_threads);
}

Attachments SimilarityRelation::attach_training(MatrixView<float> x, MatrixView<float> labels,
                                                int num_threads) const {
  const std::span<const std::int64_t> own(assignment_.data(), static_cast<std::size_t>(x.rows));
  Attachments out =
      options_.compressor == "none" ? attach(x, own, num_threads) : attach(x, num_threads);
  out.own.assign(own.begin(), own.end());
  out.own_labels = labels.eigen();
  out.own_mass.assign(own.size(), 1.0);
  return out;
}

Attachments SimilarityRelation::attach_representatives() const {
  std::vector<std::int64_t> itself(static_cast<std::size_t>(representatives_.size()));
  std::iota(itself.begin(), itself.end(), 0);
  Attachments out = attach(representatives_.vectors, itself, 1);
  out.own = itself;
  out.own_labels = representatives_.label_sums.cast<float>();
  out.own_mass = labelled_mass_;
  return out;
}

void SimilarityRelation::aggregate(const Neighbourhood& neighbourhood, float* out) const {
  std::fill_n(out, n_features(), 0.0f);
  for (std::size_t j = 0; j < neighbourhood.representative.size(); ++j) {
    const float* features = nodes_.row(neighbourhood.representative[j]).data();
    for (Index f = 0; f < n_features(); ++f) out[f] += neighbourhood.weight[j] * features[f];
  }
}

Matrix<float> SimilarityRelation::aggregate(const Attachments& attachments, int num_threads) const {
  Matrix<float> out(attachments.size(), n_features());
  aggregate(attachments, out.data(), out.cols(), num_threads);
  return out;
}

void SimilarityRelation::aggregate(const Attachments& attachments, float* out, Index stride,
                                   int num_threads) const {
  parallel_chunks(attachments.size(), kChunk, num_threads, [&](Index begin, Index end) {
    std::vector<float> features(static_cast<std::size_t>(n_features()));
    for (Index t = begin; t < end; ++t) {
      float* const sum = out + t * stride;
      std::fill_n(sum, n_features(), 0.0f);
      for (Index e = attachments.begin(t); e < attachments.end(t); ++e) {
        const auto edge = static_cast<std::size_t>(e);
        node(attachments.source[edge], attachments, t, features.data());
        for (Index f = 0; f < n_features(); ++f) {
          sum[f] += attachments.weight[edge] * features[static_cast<std::size_t>(f)];
        }
      }
    }
  });
}

std::vector<std::string> SimilarityRelation::feature_names() const {
  std::vector<std::string> names;
  for (Index k = 0; k < scaled_vectors_.cols(); ++k) {
    names.push_back("similar cases: embedding " + std::to_string(k));
  }
  for (std::size_t c = 0; options_.label_mix && c < prior_.size(); ++c) {
    names.push_back("similar cases: label evidence " + std::to_string(c));
  }
  if (options_.mass) names.push_back("similar cases: log mass");
  return names;
}

float SimilarityRelation::similarity(const float* x, Index j) const {
  const Index h = representatives_.vectors.cols();
  std::vector<float> a(x, x + h),
      b(representatives_.vectors.row(j).begin(), representatives_.vectors.row(j).end());
  if (options_.attach == "correlation") {
    centre(a.data(), h, a.data());
    centre(b.data(), h, b.data());
  }
  const Eigen::Map<const Eigen::VectorXf> left(a.data(), h), right(b.data(), h);
  const auto wide_left = left.cast<double>(), wide_right = right.cast<double>();
  const double norms = std::sqrt(wide_left.squaredNorm() * wide_right.squaredNorm());
  return norms > 0.0 ? static_cast<float>(wide_left.dot(wide_right) / norms) : 0.0f;
}

}  // namespace ecseq::relation
