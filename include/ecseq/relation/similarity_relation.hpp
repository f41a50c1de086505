#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ecseq/compress/grouping.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/core/targets.hpp"
#include "ecseq/io/safetensors.hpp"
#include "ecseq/kernels/nearest.hpp"
#include "ecseq/nn/scaler.hpp"
#include "ecseq/relation/label_channels.hpp"

namespace ecseq::relation {

/// Representatives of like embeddings (ECSeq, section III): how they are found and how a target
/// attaches to them.
struct SimilarityOptions {
  std::string compressor = "kmeans";  ///< one of compress::compressor_names(), or "custom"
  compress::GroupingFunction custom;  ///< the caller's own, where compressor is "custom"; of
                                      ///< standardised embeddings; not saved
  Index n_representatives = 0;        ///< K; 0 = min(500, N / 20), at least 1 (balanced: per group)
  std::vector<Index> group_counts;    ///< balanced_kmeans: K per class; empty = equal parts
  std::string attach = "knn";         ///< "knn" or "epsilon"
  Index n_neighbors = 8;              ///< knn, and the fallback of epsilon
  double epsilon = 0.99;              ///< epsilon: attach where the cosine exceeds it
  double prior_strength = 5.0;        ///< labels at the prior added to each label mix
  int iterations = 20;
  Index max_points_per_centroid = 0;  ///< 0 = train k-means on all rows
  Index n_cases = 5;                  ///< typical training cases kept per representative
};

/// The representatives one target is related to. Weights sum to 1.
struct Neighbourhood {
  std::vector<std::int64_t> representative;
  std::vector<float> weight;
  bool isolated = false;  ///< nothing within epsilon: the nearest were taken instead
};

/// Throws InvalidArgument naming the option and its valid values.
void validate(const SimilarityOptions& options);

class SimilarityRelation {
 public:
  SimilarityRelation() = default;
  /// x: [N, h]; channels: [N, c] with their prior. group: [N], class or target-quantile bin, used
  /// by balanced_kmeans.
  SimilarityRelation(MatrixView<float> x, const LabelChannels& channels, Task task,
                     const std::vector<int>& group, const SimilarityOptions& options,
                     std::uint64_t seed, int num_threads, const ProgressCallback& progress);

  /// knn: the k nearest in standardised space, weights softmax(-2 (d^2 - min d^2) / mean d^2).
  /// epsilon: every representative whose cosine with x exceeds epsilon, equal weights; where there
  /// is none, knn. x: [h].
  Neighbourhood attach(const float* x) const;

  /// Node features of the representatives, aggregated over each row's neighbourhood:
  /// [standardised vector (h), label evidence (c), log mass (1)].
  /// x: [n, h] -> [n, n_features()]. For training rows give their channels [n, c] and
  /// representative: a row never sees its own label (leave-one-out).
  Matrix<float> aggregate(MatrixView<float> x, int num_threads, MatrixView<float> own_channels = {},
                          std::span<const std::int64_t> own_representative = {}) const;
  /// The same for one given neighbourhood; out: [n_features()].
  void aggregate(const Neighbourhood& neighbourhood, float* out) const;

  /// Edges among representatives: each with its nearest others (never itself), aggregated.
  /// [K, n_features()]. K >= 2.
  Matrix<float> aggregate_representatives() const;

  /// Share of the rows of x with nothing within epsilon (0 for knn).
  double isolation_rate(MatrixView<float> x, int num_threads) const;

  Index n_features() const { return node_features_.cols(); }
  std::vector<std::string> feature_names() const;
  /// Cosine of x and the vector of representative j.
  float similarity(const float* x, Index j) const;

  const compress::Representatives& representatives() const { return representatives_; }
  const compress::CompressionReport& report() const { return report_; }
  const std::vector<std::int64_t>& assignment() const { return assignment_; }
  const SimilarityOptions& options() const { return options_; }
  /// Forgets the training rows' assignment and renames the typical cases: training row i becomes
  /// row_numbers[i] (or stays i where that is empty).
  void finish_training(const std::vector<std::int64_t>& row_numbers);

  void save(io::TensorFile& file, const std::string& prefix) const;
  static SimilarityRelation load(const io::TensorFile& file, const std::string& prefix, Task task,
                                 const SimilarityOptions& options);

 private:
  void index();
  Neighbourhood attach_nearest(const float* scaled, Index k, Index except) const;

  SimilarityOptions options_;
  Task task_ = Task::kBinary;
  nn::Scaler scaler_;
  compress::Representatives representatives_;
  compress::CompressionReport report_;
  std::vector<double> prior_;
  std::vector<std::int64_t> assignment_;  ///< of the training rows; not saved

  // Derived by index().
  Matrix<float> scaled_vectors_;     ///< [K, h]
  Matrix<float> node_features_;      ///< [K, h + c + 1]
  kernels::PackedDense points_;      ///< scaled vectors, for the nearest
  kernels::PackedDense directions_;  ///< unit vectors, for cosines
};

}  // namespace ecseq::relation
