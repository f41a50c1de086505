#include "ecseq/relation/similarity_relation.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ecseq/compress/compressor.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"

namespace ecseq::relation {
namespace {

constexpr Index kChunk = 256;

/// Representatives that are real rows stay so; others become the means of their members.
/// scaled: x as it was compressed. x: [N, h] -> [K, h]
Matrix<float> vectors_of(MatrixView<float> x, const Matrix<float>& scaled,
                         const std::vector<std::int64_t>& assignment,
                         const compress::Representatives& found) {
  const std::vector<double>& mass = found.mass;
  Matrix<double> sums = Matrix<double>::Zero(static_cast<Index>(mass.size()), x.cols);
  for (Index i = 0; i < x.rows; ++i) {
    sums.row(assignment[static_cast<std::size_t>(i)]) += x.eigen().row(i).cast<double>();
  }
  Matrix<float> vectors(sums.rows(), sums.cols());
  for (Index j = 0; j < sums.rows(); ++j) {
    const Index row = found.medoid(j);
    if (found.vectors.row(j) == scaled.row(row)) {
      vectors.row(j) = x.eigen().row(row);
    } else {
      vectors.row(j) = (sums.row(j) / mass[static_cast<std::size_t>(j)]).cast<float>();
    }
  }
  return vectors;
}

Index automatic_size(MatrixView<float> x, const std::vector<int>& group, bool balanced) {
  const Index floor = balanced ? *std::max_element(group.begin(), group.end()) + 1 : 1;
  const Index wanted = std::max(floor, std::min<Index>(500, x.rows / 20));
  return std::max<Index>(1, compress::count_distinct_rows(x, wanted));
}

void add_weighted(float weight, const float* values, Index n, float* out) {
  for (Index f = 0; f < n; ++f) out[f] += weight * values[f];
}

}  // namespace

void validate(const SimilarityOptions& options) {
  compress::require_compressor("compressor", options.compressor);
  require_one_of("attach", options.attach, {"knn", "epsilon"});
  if (options.n_representatives < 0) {
    throw InvalidArgument("n_representatives: expected at least 1, got " +
                          std::to_string(options.n_representatives));
  }
  require_at_least("n_neighbors", options.n_neighbors, 1);
  if (!(options.epsilon >= -1.0 && options.epsilon < 1.0)) {
    throw InvalidArgument("epsilon: expected a cosine in [-1, 1), got " +
                          std::to_string(options.epsilon));
  }
}

SimilarityRelation::SimilarityRelation(MatrixView<float> x, const LabelChannels& channels,
                                       Task task, const std::vector<int>& group,
                                       const SimilarityOptions& options, std::uint64_t seed,
                                       int num_threads, const ProgressCallback& progress)
    : options_(options), task_(task), scaler_(nn::Scaler::fit(x)), prior_(channels.prior) {
  validate(options);
  const bool balanced =
      options.compressor == "balanced_kmeans" || options.compressor == "stratified_random";
  compress::CompressorOptions how;
  how.method = options.compressor;
  how.custom = options.custom;
  how.n_representatives = options.n_representatives > 0 ? options.n_representatives
                                                        : automatic_size(x, group, balanced);
  how.group_counts = options.group_counts;
  how.iterations = options.iterations;
  how.max_points_per_centroid = options.max_points_per_centroid;
  how.n_cases = options.n_cases;
  how.seed = seed;
  how.num_threads = num_threads;
  const Matrix<float> scaled = scaler_.apply(x);
  compress::Compression result =
      compress::compress({scaled, channels.values, group, nullptr}, how, progress);
  representatives_ = std::move(result.representatives);
  representatives_.vectors = vectors_of(x, scaled, result.assignment, representatives_);
  report_ = result.report;
  assignment_ = std::move(result.assignment);
  index();
}

void SimilarityRelation::index() {
  const Index k = representatives_.size();
  const Index h = representatives_.vectors.cols();
  const auto channels = static_cast<Index>(prior_.size());
  scaled_vectors_ = scaler_.apply(representatives_.vectors);
  points_ = kernels::pack_points(scaled_vectors_);
  Matrix<float> unit = representatives_.vectors;
  for (Index j = 0; j < k; ++j) {
    const float norm = std::sqrt(kernels::squared_norm(unit.row(j).data(), h));
    if (norm > 0.0f) unit.row(j) /= norm;
  }
  directions_ = kernels::PackedDense(Matrix<float>(unit.transpose()), nullptr, kernels::kNoScore);
  node_features_.resize(k, h + channels + 1);
  for (Index j = 0; j < k; ++j) {
    node_features_.row(j).head(h) = scaled_vectors_.row(j);
    const double mass = representatives_.mass[static_cast<std::size_t>(j)];
    for (Index c = 0; c < channels; ++c) {
      node_features_(j, h + c) =
          label_evidence(task_, representatives_.label_sums(j, c), mass,
                         prior_[static_cast<std::size_t>(c)], options_.prior_strength);
    }
    node_features_(j, h + channels) = static_cast<float>(std::log1p(mass));
  }
}

Neighbourhood SimilarityRelation::attach_nearest(const float* scaled, Index k, Index except) const {
  const Index available = representatives_.size() - (except >= 0 ? 1 : 0);
  k = std::min(k, available);
  const Index search = k + (except >= 0 ? 1 : 0);
  std::vector<float> scratch, distance(static_cast<std::size_t>(search));
  std::vector<std::int64_t> index(distance.size());
  kernels::nearest(points_, scaled, 1, search, index.data(), distance.data(), scratch);
  Neighbourhood out;
  std::vector<float> kept;
  for (std::size_t j = 0; j < index.size() && static_cast<Index>(kept.size()) < k; ++j) {
    if (index[j] == except) continue;
    out.representative.push_back(index[j]);
    kept.push_back(distance[j]);
  }
  const float nearest = kept.front();
  const float mean = std::accumulate(kept.begin(), kept.end(), 0.0f) / static_cast<float>(k);
  float total = 0.0f;
  for (const float d : kept) {
    out.weight.push_back(mean > 0.0f ? std::exp(-2.0f * (d - nearest) / mean) : 1.0f);
    total += out.weight.back();
  }
  for (float& w : out.weight) w /= total;
  return out;
}

Neighbourhood SimilarityRelation::attach(const float* x) const {
  if (options_.attach == "epsilon") {
    std::vector<float> cosine(static_cast<std::size_t>(directions_.padded()));
    kernels::multiply(directions_, x, directions_.in(), 1, cosine.data());
    const float norm = std::sqrt(kernels::squared_norm(x, directions_.in()));
    Neighbourhood out;
    for (Index j = 0; j < representatives_.size(); ++j) {
      if (cosine[static_cast<std::size_t>(j)] > options_.epsilon * norm) {
        out.representative.push_back(j);
      }
    }
    if (!out.representative.empty()) {
      out.weight.assign(out.representative.size(),
                        1.0f / static_cast<float>(out.representative.size()));
      return out;
    }
  }
  std::vector<float> scaled(static_cast<std::size_t>(scaler_.size()));
  scaler_.apply(x, scaled.data());
  Neighbourhood out = attach_nearest(scaled.data(), options_.n_neighbors, -1);
  out.isolated = options_.attach == "epsilon";
  return out;
}

void SimilarityRelation::aggregate(const Neighbourhood& neighbourhood, float* out) const {
  std::fill_n(out, n_features(), 0.0f);
  for (std::size_t j = 0; j < neighbourhood.representative.size(); ++j) {
    add_weighted(neighbourhood.weight[j],
                 node_features_.row(neighbourhood.representative[j]).data(), n_features(), out);
  }
}

Matrix<float> SimilarityRelation::aggregate(
    MatrixView<float> x, int num_threads, MatrixView<float> own_channels,
    std::span<const std::int64_t> own_representative) const {
  Matrix<float> out(x.rows, n_features());
  const Index first_label = scaled_vectors_.cols();
  parallel_chunks(x.rows, kChunk, num_threads, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Neighbourhood neighbourhood = attach(x.row(i));
      aggregate(neighbourhood, out.row(i).data());
      if (own_representative.empty()) continue;
      const Index own = own_representative[static_cast<std::size_t>(i)];
      for (std::size_t j = 0; j < neighbourhood.representative.size(); ++j) {
        if (neighbourhood.representative[j] != own) continue;
        const double mass = representatives_.mass[static_cast<std::size_t>(own)];
        for (Index c = 0; c < own_channels.cols; ++c) {
          const float without = label_evidence(
              task_, representatives_.label_sums(own, c) - own_channels(i, c), mass - 1.0,
              prior_[static_cast<std::size_t>(c)], options_.prior_strength);
          out(i, first_label + c) +=
              neighbourhood.weight[j] * (without - node_features_(own, first_label + c));
        }
      }
    }
  });
  return out;
}

Matrix<float> SimilarityRelation::aggregate_representatives() const {
  Matrix<float> out(representatives_.size(), n_features());
  for (Index j = 0; j < out.rows(); ++j) {
    const Neighbourhood others =
        attach_nearest(scaled_vectors_.row(j).data(), options_.n_neighbors, j);
    aggregate(others, out.row(j).data());
  }
  return out;
}

double SimilarityRelation::isolation_rate(MatrixView<float> x, int num_threads) const {
  if (options_.attach != "epsilon" || x.rows == 0) return 0.0;
  std::vector<unsigned char> isolated(static_cast<std::size_t>(x.rows));
  parallel_chunks(x.rows, kChunk, num_threads, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      isolated[static_cast<std::size_t>(i)] = attach(x.row(i)).isolated;
    }
  });
  return std::accumulate(isolated.begin(), isolated.end(), 0.0) / static_cast<double>(x.rows);
}

std::vector<std::string> SimilarityRelation::feature_names() const {
  std::vector<std::string> names;
  for (Index k = 0; k < scaled_vectors_.cols(); ++k) {
    names.push_back("similar cases: embedding " + std::to_string(k));
  }
  for (std::size_t c = 0; c < prior_.size(); ++c) {
    names.push_back("similar cases: label evidence " + std::to_string(c));
  }
  names.push_back("similar cases: log mass");
  return names;
}

float SimilarityRelation::similarity(const float* x, Index j) const {
  const float* vector = representatives_.vectors.row(j).data();
  double product = 0.0, x_norm = 0.0, vector_norm = 0.0;
  for (Index k = 0; k < representatives_.vectors.cols(); ++k) {
    product += static_cast<double>(x[k]) * vector[k];
    x_norm += static_cast<double>(x[k]) * x[k];
    vector_norm += static_cast<double>(vector[k]) * vector[k];
  }
  const double norms = std::sqrt(x_norm * vector_norm);
  return norms > 0.0 ? static_cast<float>(product / norms) : 0.0f;
}

void SimilarityRelation::finish_training(const std::vector<std::int64_t>& row_numbers) {
  assignment_.clear();
  if (row_numbers.empty()) return;
  auto& cases = representatives_.cases;
  for (Index i = 0; i < cases.size(); ++i) {
    if (cases.data()[i] >= 0) {
      cases.data()[i] = row_numbers[static_cast<std::size_t>(cases.data()[i])];
    }
  }
}

void SimilarityRelation::save(io::TensorFile& file, const std::string& prefix) const {
  file.floats[prefix + "scale.mean"] = scaler_.mean;
  file.floats[prefix + "scale.inverse_std"] = scaler_.inverse_std;
  file.floats[prefix + "vectors"] = representatives_.vectors;
  file.doubles[prefix + "mass"] = representatives_.mass;
  file.doubles[prefix + "spread"] = representatives_.spread;
  file.doubles[prefix + "radius"] = representatives_.radius;
  file.doubles[prefix + "prior"] = prior_;
  const auto& sums = representatives_.label_sums;
  file.doubles[prefix + "label_sums"] = {sums.data(), sums.data() + sums.size()};
  const auto& cases = representatives_.cases;
  file.integers[prefix + "cases"] = {cases.data(), cases.data() + cases.size()};
}

SimilarityRelation SimilarityRelation::load(const io::TensorFile& file, const std::string& prefix,
                                            Task task, const SimilarityOptions& options) {
  const auto get = [&](const auto& map, const char* name) -> const auto& {
    const auto found = map.find(prefix + name);
    if (found == map.end()) {
      throw FileError("model file: tensor '" + prefix + name + "' is missing");
    }
    return found->second;
  };
  SimilarityRelation out;
  out.options_ = options;
  out.task_ = task;
  out.scaler_.mean = get(file.floats, "scale.mean").reshaped().transpose();
  out.scaler_.inverse_std = get(file.floats, "scale.inverse_std").reshaped().transpose();
  auto& representatives = out.representatives_;
  representatives.vectors = get(file.floats, "vectors");
  representatives.mass = get(file.doubles, "mass");
  representatives.spread = get(file.doubles, "spread");
  representatives.radius = get(file.doubles, "radius");
  out.prior_ = get(file.doubles, "prior");
  const auto& sums = get(file.doubles, "label_sums");
  const auto& cases = get(file.integers, "cases");
  const Index k = representatives.vectors.rows(), h = representatives.vectors.cols();
  const auto size = static_cast<std::size_t>(k);
  if (k < 1 || h < 1 || out.scaler_.mean.size() != h || out.scaler_.inverse_std.size() != h ||
      representatives.mass.size() != size || representatives.spread.size() != size ||
      representatives.radius.size() != size || out.prior_.empty() ||
      sums.size() != size * out.prior_.size() || cases.size() % size != 0) {
    throw FileError("model file: the representatives' tensors do not fit together");
  }
  representatives.label_sums =
      Eigen::Map<const Matrix<double>>(sums.data(), k, static_cast<Index>(out.prior_.size()));
  representatives.cases = Eigen::Map<const Matrix<std::int64_t>>(
      cases.data(), k, static_cast<Index>(cases.size() / size));
  out.index();
  return out;
}

}  // namespace ecseq::relation
