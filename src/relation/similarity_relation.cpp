#include "ecseq/relation/similarity_relation.hpp"

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "centred.hpp"
#include "ecseq/compress/compressor.hpp"
#include "ecseq/compress/nearest_representative.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/require.hpp"

namespace ecseq::relation {
namespace {

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

bool balances_by_label(const std::string& compressor) {
  return compressor == "balanced_kmeans" || compressor == "stratified_random";
}

Index automatic_size(MatrixView<float> x, const std::vector<int>& group, bool balanced) {
  const Index floor = balanced ? *std::max_element(group.begin(), group.end()) + 1 : 1;
  const Index wanted = std::max(floor, std::min<Index>(500, x.rows / 20));
  return std::max<Index>(1, compress::count_distinct_rows(x, wanted));
}

}  // namespace

void validate(const SimilarityOptions& options) {
  if (options.compressor != "none") {
    compress::require_compressor("compressor", options.compressor);
  }
  require_one_of("attach", options.attach, {"knn", "epsilon", "correlation"});
  require_one_of("isolated", options.isolated, {"nearest", "alone"});
  if (options.n_representatives < 0) {
    throw InvalidArgument("n_representatives: expected at least 1, got " +
                          std::to_string(options.n_representatives));
  }
  require_at_least("n_neighbors", options.n_neighbors, 1);
  if (!(options.epsilon >= -1.0 && options.epsilon < 1.0)) {
    throw InvalidArgument("epsilon: expected a cosine in [-1, 1), got " +
                          std::to_string(options.epsilon));
  }
  if (!(options.min_correlation >= -1.0 && options.min_correlation <= 1.0)) {
    throw InvalidArgument("min_correlation: expected a correlation in [-1, 1], got " +
                          std::to_string(options.min_correlation));
  }
  if (!(options.label_spreading >= 0.0 && options.label_spreading < 1.0)) {
    throw InvalidArgument("label_spreading: expected a share in [0, 1), got " +
                          std::to_string(options.label_spreading));
  }
}

SimilarityRelation::SimilarityRelation(MatrixView<float> x, const LabelChannels& channels,
                                       Task task, const std::vector<int>& group,
                                       const SimilarityOptions& options, std::uint64_t seed,
                                       int num_threads, const ProgressCallback& progress)
    : options_(options),
      task_(task),
      scaler_(options.standardize ? nn::Scaler::fit(x) : nn::Scaler::identity(x.cols)),
      prior_(channels.prior) {
  validate(options);
  if (options.compressor == "none") {
    keep_every_row(x, channels);
  } else {
    compress(x, channels, group, seed, num_threads, progress);
  }
  labelled_mass_.assign(representatives_.mass.size(), 0.0);
  for (Index i = 0; i < channels.values.rows(); ++i) {
    labelled_mass_[static_cast<std::size_t>(assignment_[static_cast<std::size_t>(i)])] += 1.0;
  }
  index();
}

void SimilarityRelation::compress(MatrixView<float> x, const LabelChannels& channels,
                                  const std::vector<int>& group, std::uint64_t seed,
                                  int num_threads, const ProgressCallback& progress) {
  const bool balanced = balances_by_label(options_.compressor);
  const Index labelled = channels.values.rows();
  compress::CompressorOptions how;
  how.method = options_.compressor;
  how.custom = options_.custom;
  how.n_representatives = options_.n_representatives > 0 ? options_.n_representatives
                                                         : automatic_size(x, group, balanced);
  how.group_counts = options_.group_counts;
  how.iterations = options_.iterations;
  how.max_points_per_centroid = options_.max_points_per_centroid;
  how.n_cases = options_.n_cases;
  how.seed = seed;
  how.num_threads = num_threads;
  const Matrix<float> scaled = scaler_.apply(x);
  // A row without a label adds nothing to the label sums.
  Matrix<float> values = Matrix<float>::Zero(x.rows, channels.values.cols());
  values.topRows(labelled) = channels.values;
  const Index seen = balanced ? labelled : x.rows;
  compress::Compression result = compress::compress(
      {{scaled.data(), seen, scaled.cols()}, {values.data(), seen, values.cols()}, group, nullptr},
      how, progress);
  representatives_ = std::move(result.representatives);
  report_ = result.report;
  assignment_ = std::move(result.assignment);
  if (seen < x.rows) {
    const std::vector<std::int64_t> rest = compress::nearest_representative(
        representatives_.vectors, {scaled.row(seen).data(), x.rows - seen, scaled.cols()},
        num_threads);
    assignment_.insert(assignment_.end(), rest.begin(), rest.end());
    compress::describe(representatives_, scaled, values, assignment_, options_.n_cases);
  }
  representatives_.vectors = vectors_of(x, scaled, assignment_, representatives_);
}

void SimilarityRelation::keep_every_row(MatrixView<float> x, const LabelChannels& channels) {
  const auto n = static_cast<std::size_t>(x.rows);
  representatives_.vectors = x.eigen();
  representatives_.mass.assign(n, 1.0);
  representatives_.spread.assign(n, 0.0);
  representatives_.radius.assign(n, 0.0);
  representatives_.label_sums = Matrix<double>::Zero(x.rows, channels.values.cols());
  representatives_.label_sums.topRows(channels.values.rows()) = channels.values.cast<double>();
  assignment_.resize(n);
  std::iota(assignment_.begin(), assignment_.end(), 0);
  representatives_.cases = Eigen::Map<const Matrix<std::int64_t>>(assignment_.data(), x.rows, 1);
  report_.requested = report_.points_used = x.rows;
}

float SimilarityRelation::evidence(double sum, double mass, Index channel) const {
  return label_evidence(task_, sum, mass, prior_[static_cast<std::size_t>(channel)],
                        options_.prior_strength);
}

void SimilarityRelation::index() {
  const Index k = representatives_.size();
  const Index h = representatives_.vectors.cols();
  const auto channels = static_cast<Index>(prior_.size());
  scaled_vectors_ = scaler_.apply(representatives_.vectors);
  points_ = kernels::pack_points(scaled_vectors_);
  coarse_points_ = kernels::coarse_points_if_many(scaled_vectors_, points_);
  if (options_.attach != "knn") {
    Matrix<float> unit = representatives_.vectors;
    for (Index j = 0; j < k; ++j) {
      if (options_.attach == "correlation") centre(unit.row(j).data(), h, unit.row(j).data());
      const float norm = std::sqrt(kernels::squared_norm(unit.row(j).data(), h));
      if (norm > 0.0f) unit.row(j) /= norm;
    }
    directions_ = kernels::PackedDense(Matrix<float>(unit.transpose()), nullptr, kernels::kNoScore);
  }
  if (options_.edges_among || options_.label_spreading > 0.0) {
    among_ = {};
    if (k >= 2) {
      among_ = attach_representatives();
    } else {
      among_.offsets = {0, 0};  // related to none
    }
  }
  if (options_.label_spreading > 0.0) spread_labels();

  nodes_.resize(k, h + (options_.label_mix ? channels : 0) + (options_.mass ? 1 : 0));
  for (Index j = 0; j < k; ++j) {
    nodes_.row(j).head(h) = scaled_vectors_.row(j);
    if (options_.label_mix) {
      const auto row = static_cast<std::size_t>(j);
      for (Index c = 0; c < channels; ++c) {
        nodes_(j, h + c) = spread_.size() > 0 ? evidence(spread_sums_(j, c), spread_mass_[row], c)
                                              : evidence(representatives_.label_sums(j, c),
                                                         labelled_mass_[row], c);
      }
    }
    if (options_.mass) {
      nodes_(j, nodes_.cols() - 1) =
          static_cast<float>(std::log1p(representatives_.mass[static_cast<std::size_t>(j)]));
    }
  }
}

/// Label spreading (Zhou et al., NeurIPS 2003) with the random walk's normalisation, over the edges
/// among representatives taken both ways: M = (1 - a) (I - a D^-1 W)^-1, whose rows sum to 1.
/// Sums and numbers of labels spread alike, so a target's own label leaves them exactly.
void SimilarityRelation::spread_labels() {
  const Index k = representatives_.size();
  if (k > kMaxSpreading) {
    throw InvalidArgument("label_spreading: keeps a matrix over all representatives; at most " +
                          std::to_string(kMaxSpreading) + " of them, got " + std::to_string(k));
  }
  Matrix<double> weight = Matrix<double>::Zero(k, k);
  for (Index j = 0; j < among_.size(); ++j) {
    for (Index e = among_.begin(j); e < among_.end(j); ++e) {
      const auto edge = static_cast<std::size_t>(e);
      weight(j, among_.source[edge]) += among_.weight[edge] / 2.0;
      weight(among_.source[edge], j) += among_.weight[edge] / 2.0;
    }
  }
  const double a = options_.label_spreading;
  Matrix<double> system = Matrix<double>::Identity(k, k);
  for (Index j = 0; j < k; ++j) {
    const double degree = weight.row(j).sum();
    if (degree > 0.0) {
      system.row(j) -= a / degree * weight.row(j);
    } else {
      system(j, j) -= a;  // related to none: it keeps its labels
    }
  }
  spread_ = (1.0 - a) * Eigen::MatrixXd(system).partialPivLu().inverse();
  spread_sums_ = spread_ * representatives_.label_sums;
  spread_mass_.assign(static_cast<std::size_t>(k), 0.0);
  Eigen::Map<Eigen::VectorXd>(spread_mass_.data(), k) =
      spread_ * Eigen::Map<const Eigen::VectorXd>(labelled_mass_.data(), k);
}

void SimilarityRelation::node(Index j, float* out) const {
  std::copy_n(nodes_.row(j).data(), n_features(), out);
}

void SimilarityRelation::node(Index j, const Attachments& targets, Index t, float* out) const {
  node(j, out);
  if (targets.own.empty() || !options_.label_mix) return;
  const auto target = static_cast<std::size_t>(t);
  const Index own = targets.own[target];
  if (own < 0 || (own != j && spread_.size() == 0)) return;
  const double share = spread_.size() > 0 ? spread_(j, own) : 1.0;
  const auto row = static_cast<std::size_t>(j);
  const double mass = (spread_.size() > 0 ? spread_mass_ : labelled_mass_)[row];
  const Index h = scaled_vectors_.cols();
  for (Index c = 0; c < targets.own_labels.cols(); ++c) {
    const double sum = spread_.size() > 0 ? spread_sums_(j, c) : representatives_.label_sums(j, c);
    out[h + c] = evidence(sum - share * targets.own_labels(t, c),
                          std::max(0.0, mass - share * targets.own_mass[target]), c);
  }
}

void SimilarityRelation::as_node(const float* x, float* out) const {
  std::fill_n(out, n_features(), 0.0f);
  scaler_.apply(x, out);
}

compress::Drift SimilarityRelation::update(MatrixView<float> x, MatrixView<float> labels,
                                           int num_threads) {
  if (options_.compressor == "none") {
    throw InvalidArgument(
        "partial_fit: an uncompressed relation has every training row for a representative and "
        "cannot follow new ones; choose a compressor");
  }
  // In standardised space; whether a row has a label is one more channel to sum up.
  const Index channels = static_cast<Index>(prior_.size());
  compress::Representatives start = representatives_;
  start.vectors = scaled_vectors_;
  start.label_sums.conservativeResize(Eigen::NoChange, channels + 1);
  start.label_sums.col(channels) = Eigen::Map<const Eigen::VectorXd>(
      labelled_mass_.data(), static_cast<Index>(labelled_mass_.size()));
  Matrix<float> values = Matrix<float>::Zero(x.rows, channels + 1);
  for (Index i = 0; i < x.rows; ++i) {
    const auto row = labels.eigen().row(i);
    if (!row.allFinite()) continue;
    values.row(i).head(channels) = row;
    values(i, channels) = 1.0f;
  }
  const double total = std::accumulate(start.mass.begin(), start.mass.end(), 0.0);
  compress::UpdateOptions how;
  how.keep = std::max(1e-3, 1.0 - static_cast<double>(x.rows) / total);
  how.num_threads = num_threads;
  compress::RunningMeans means(std::move(start));
  compress::Drift drift = means.update(scaler_.apply(x), values, how);

  compress::Representatives moved = means.representatives();
  for (Index j = 0; j < moved.vectors.rows(); ++j) {
    for (Index k = 0; k < moved.vectors.cols(); ++k) {
      const float inverse = scaler_.inverse_std[k];
      moved.vectors(j, k) =
          scaler_.mean[k] + (inverse > 0.0f ? moved.vectors(j, k) / inverse : 0.0f);
    }
  }
  labelled_mass_.assign(moved.mass.size(), 0.0);
  for (Index j = 0; j < moved.vectors.rows(); ++j) {
    labelled_mass_[static_cast<std::size_t>(j)] = moved.label_sums(j, channels);
  }
  moved.label_sums.conservativeResize(Eigen::NoChange, channels);
  representatives_ = std::move(moved);
  index();
  return drift;
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

}  // namespace ecseq::relation
