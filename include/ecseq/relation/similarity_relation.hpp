#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ecseq/compress/grouping.hpp"
#include "ecseq/compress/running_means.hpp"
#include "ecseq/core/arena.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/core/targets.hpp"
#include "ecseq/io/safetensors.hpp"
#include "ecseq/kernels/coarse_points.hpp"
#include "ecseq/nn/scaler.hpp"
#include "ecseq/relation/attachments.hpp"
#include "ecseq/relation/label_channels.hpp"

namespace ecseq::relation {

/// Representatives of like embeddings (ECSeq, section III): how they are found and how a target
/// attaches to them.
struct SimilarityOptions {
  std::string compressor = "kmeans";  ///< one of compress::compressor_names(), "custom", or "none":
                                      ///< every row is its own representative (BatchGNN)
  compress::GroupingFunction custom;  ///< the caller's own, where compressor is "custom"; of
                                      ///< standardised embeddings; not saved
  Index n_representatives = 0;        ///< K; 0 = min(500, N / 20), at least 1 (balanced: per group)
  std::vector<Index> group_counts;    ///< balanced_kmeans: K per class; empty = equal parts
  bool standardize = true;            ///< columns to mean 0 and variance 1 before anything else
  std::string attach = "knn";         ///< "knn", "epsilon" or "correlation"
  Index n_neighbors = 8;              ///< knn, and the fallback of the others
  double epsilon = 0.99;              ///< epsilon: attach where the cosine exceeds it
  double min_correlation = 0.5;       ///< correlation: attach where Pearson's reaches it
  std::string isolated = "nearest";   ///< where nothing is near enough: "nearest", or "alone"
  bool label_mix = true;              ///< label evidence among a representative's features
  bool mass = true;                   ///< log mass among them
  double prior_strength = 5.0;        ///< labels at the prior added to each label mix
  double label_spreading = 0.0;       ///< in [0, 1): share of a representative's labels that comes
                                      ///< from those it is related to, over and over
  bool edges_among = false;           ///< keep the edges among representatives (two layers)
  int iterations = 20;
  Index max_points_per_centroid = 0;  ///< 0 = train k-means on all rows
  Index n_cases = 5;                  ///< typical training cases kept per representative
};

/// The representatives one target is related to. Weights sum to 1.
struct Neighbourhood {
  std::vector<std::int64_t> representative;
  std::vector<float> weight;
  bool isolated = false;  ///< nothing was near enough: the nearest were taken instead, or none
};

/// The same, as a view of memory that somebody else owns.
struct Neighbours {
  const std::int64_t* representative = nullptr;  ///< [size]
  const float* weight = nullptr;                 ///< [size]
  Index size = 0;
};

/// Throws InvalidArgument naming the option and its valid values.
void validate(const SimilarityOptions& options);

/// Label spreading keeps a dense matrix over the representatives.
constexpr Index kMaxSpreading = 4096;

class SimilarityRelation {
 public:
  SimilarityRelation() = default;
  /// x: [N, h]; channels: [n, c] with their prior, n <= N: rows from n on have no label. group:
  /// [n], class or target-quantile bin, used by the compressors that balance by it; those see
  /// labelled rows only, and the others join the nearest representative.
  SimilarityRelation(MatrixView<float> x, const LabelChannels& channels, Task task,
                     const std::vector<int>& group, const SimilarityOptions& options,
                     std::uint64_t seed, int num_threads, const ProgressCallback& progress);

  /// knn: the k nearest in standardised space, weights softmax(-2 (d^2 - min d^2) / mean d^2).
  /// epsilon: every representative whose cosine with x exceeds epsilon; correlation: whose Pearson
  /// correlation with x, over the columns, is at least min_correlation (that of a constant row is
  /// 0); equal weights. Where there is none, knn, or none at all, as `isolated` says. x: [h].
  Neighbourhood attach(const float* x) const;
  /// The same in the caller's memory, for a service that must not allocate.
  Neighbours attach(const float* x, Arena& memory) const;
  /// The same for each row of x, [n, h], which share the work of the search.
  std::span<const Neighbours> attach(MatrixView<float> x, Arena& memory) const;
  /// The same for each row of x: [n, h].
  Attachments attach(MatrixView<float> x, int num_threads) const;
  /// The same for the training rows, the first n of those the relation was made of. Where nothing
  /// is compressed, a row is not attached to itself. labels: [n, c]
  Attachments attach_training(MatrixView<float> x, MatrixView<float> labels, int num_threads) const;
  /// Edges among representatives (E_com): each with its nearest others, never itself; as targets
  /// that may not hear their own members' labels. K >= 2.
  Attachments attach_representatives() const;

  /// Features of representative j: [standardised vector (h), label evidence (c), log mass (1)], the
  /// last two where the options say so. out: [n_features()].
  void node(Index j, float* out) const;
  /// Of all of them: [K, n_features()].
  const Matrix<float>& nodes() const { return nodes_; }
  /// The same as target t of `targets` may hear it: without what t has put in.
  void node(Index j, const Attachments& targets, Index t, float* out) const;
  /// An embedding in the space of the nodes: at the prior, with no mass. x: [h]
  void as_node(const float* x, float* out) const;
  /// The nodes a target is attached to, averaged by weight: [n, n_features()].
  Matrix<float> aggregate(const Attachments& attachments, int num_threads) const;
  /// The same into the columns of a wider matrix: row t at out + t * stride.
  void aggregate(const Attachments& attachments, float* out, Index stride, int num_threads) const;
  /// The same for one neighbourhood; out: [n_features()].
  void aggregate(const Neighbourhood& neighbourhood, float* out) const;
  /// Edges among representatives, those that attach_representatives gives; only with edges_among.
  const Attachments& among() const { return among_; }

  /// Moves the representatives by rows that were not among the training rows: each goes to the
  /// nearest, rows far from all make new ones, and forgotten ones are given up (compress::
  /// RunningMeans). All earlier mass is scaled so that the total stays what it was: a layer trained
  /// on these masses goes on to see such masses, and old rows fade. x: [n, h]; labels: [n, c], NaN
  /// in rows without. Throws InvalidArgument with nothing changed where a shape does not fit, and
  /// where nothing is compressed.
  compress::Drift update(MatrixView<float> x, MatrixView<float> labels, int num_threads);

  Index n_features() const { return nodes_.cols(); }
  Index n_channels() const { return static_cast<Index>(prior_.size()); }
  std::vector<std::string> feature_names() const;
  /// Cosine of x and the vector of representative j; Pearson's where that is what attaches.
  float similarity(const float* x, Index j) const;

  const compress::Representatives& representatives() const { return representatives_; }
  /// [K], labelled members of each.
  const std::vector<double>& labelled_mass() const { return labelled_mass_; }
  const compress::CompressionReport& report() const { return report_; }
  /// [N], the representative of each row; empty after finish_training.
  const std::vector<std::int64_t>& assignment() const { return assignment_; }
  const SimilarityOptions& options() const { return options_; }
  /// Of the embedding's columns, before nearness is measured.
  const nn::Scaler& scaler() const { return scaler_; }
  /// Forgets the training rows' assignment and renames the typical cases: training row i becomes
  /// row_numbers[i] (or stays i where that is empty).
  void finish_training(const std::vector<std::int64_t>& row_numbers);

  void save(io::TensorFile& file, const std::string& prefix) const;
  static SimilarityRelation load(const io::TensorFile& file, const std::string& prefix, Task task,
                                 const SimilarityOptions& options);

 private:
  void compress(MatrixView<float> x, const LabelChannels& channels, const std::vector<int>& group,
                std::uint64_t seed, int num_threads, const ProgressCallback& progress);
  void keep_every_row(MatrixView<float> x, const LabelChannels& channels);
  void index();
  void spread_labels();
  float evidence(double sum, double mass, Index channel) const;
  bool is_near(float product, float norm) const;
  void nearest(MatrixView<float> x, Neighbours* out, Arena& memory) const;
  Neighbours beyond_threshold(const float* x, Arena& memory) const;
  std::vector<Neighbourhood> nearest(const float* scaled, Index rows,
                                     const std::int64_t* except) const;
  std::vector<Neighbourhood> beyond_threshold(const float* x, Index rows,
                                              const std::int64_t* except) const;
  std::vector<Neighbourhood> attach(const float* x, Index rows, const std::int64_t* except) const;
  Attachments attach(MatrixView<float> x, std::span<const std::int64_t> except,
                     int num_threads) const;
  Attachments attach_nearest(MatrixView<float> x, int num_threads) const;
  Index rows_together() const;

  SimilarityOptions options_;
  Task task_ = Task::kBinary;
  nn::Scaler scaler_;
  compress::Representatives representatives_;
  compress::CompressionReport report_;
  std::vector<double> labelled_mass_;  ///< [K]
  std::vector<double> prior_;
  std::vector<std::int64_t> assignment_;  ///< of the training rows; not saved

  // Derived by index().
  Matrix<float> scaled_vectors_;         ///< [K, h]
  Matrix<float> nodes_;                  ///< [K, n_features]
  kernels::PackedDense points_;          ///< scaled vectors, for the nearest
  kernels::CoarsePoints coarse_points_;  ///< the same, for the nearest of one row
  kernels::PackedDense directions_;      ///< unit vectors, for cosines and correlations
  Attachments among_;                    ///< with edges_among
  Matrix<double> spread_;                ///< [K, K], with label_spreading
  Matrix<double> spread_sums_;           ///< [K, c]
  std::vector<double> spread_mass_;      ///< [K]
};

}  // namespace ecseq::relation
