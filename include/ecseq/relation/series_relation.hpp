#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ecseq/compress/grouping.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/io/safetensors.hpp"

namespace ecseq::relation {

/// How parallel series are related (ECSeq's traffic setting, section IV).
struct SeriesOptions {
  std::string compressor = "kmeans";  ///< one of compress::compressor_names(), or "custom"
  compress::GroupingFunction custom;  ///< the caller's own, of standardised series; not saved
  Index n_representatives = 0;        ///< K; 0 = a third of the series, S or more = each by itself
  std::string attach = "knn";         ///< "knn": the n_neighbors most correlated representatives,
                                      ///< weighted by softmax(kSharpness * correlation);
                                      ///< "correlation": all from min_correlation on, equally
  Index n_neighbors = 4;              ///< knn; where there are fewer representatives, all
  double min_correlation = 0.5;       ///< correlation: Pearson's, and the nearest where none has it
  Index lags = 720;                   ///< latest steps of the history that are compared
};

/// Throws InvalidArgument, naming the option, for what is out of range.
void validate(const SeriesOptions& options);

/// Representatives of parallel series at one moment: phi, which series a representative stands for
/// (compressed once, on the series' latest history), and which representatives a series hears.
/// At each moment t the representatives are X_com(t) = phi^T E(t), the mean of what their members
/// are at t, so they carry what a series does not know by itself: how the others fare now.
///
/// Correlations are Pearson's over all channels, each standardised by itself. A series that does
/// not vary has no direction: its correlation is 0 with everything.
class SeriesRelation {
 public:
  /// The representatives that one series hears, the most correlated first. Weights sum to 1.
  struct Neighbourhood {
    std::span<const std::int64_t> representative;
    std::span<const float> weight;
    std::span<const float> correlation;
  };

  static constexpr double kSharpness = 4.0;

  SeriesRelation() = default;
  /// history: [S, steps * channels], each row a series' steps, oldest first, finite; the last
  /// options.lags steps count. Throws InvalidArgument for bad options.
  SeriesRelation(MatrixView<float> history, Index channels, const SeriesOptions& options,
                 std::uint64_t seed, int num_threads, const ProgressCallback& progress = {});

  Index n_series() const { return static_cast<Index>(assignment_.size()); }
  Index n_representatives() const { return static_cast<Index>(mass_.size()); }
  /// The representative that stands for each series. [S]
  const std::vector<std::int64_t>& assignment() const { return assignment_; }
  /// The series that representative k stands for, in increasing order.
  std::vector<std::int64_t> members(Index k) const;
  Neighbourhood neighbourhood(Index series) const;

  /// X_com = phi^T E: row k is the mean of its members' rows, summed in their order.
  /// e: [S, d] -> out: [K, d]
  void represent(const float* e, Index d, float* out) const;
  /// What a series hears: the weighted mean of its representatives. representatives: [K, d];
  /// out: [d]
  void aggregate(Index series, const float* representatives, Index d, float* out) const;

  /// Share of the series that no representative is correlated enough with; 0 for "knn".
  double isolation_rate() const { return isolation_rate_; }
  /// Series that do not vary in the history compared.
  const std::vector<std::int64_t>& constant_series() const { return constant_; }
  /// Why there are not as many representatives as asked for; or empty.
  const std::string& note() const { return note_; }
  const SeriesOptions& options() const { return options_; }

  void save(io::TensorFile& file, const std::string& prefix) const;
  /// Throws FileError where tensors are missing or do not fit together.
  static SeriesRelation load(const io::TensorFile& file, const std::string& prefix,
                             const SeriesOptions& options);

 private:
  void attach(const Matrix<float>& series, int num_threads, const ProgressCallback& progress);

  SeriesOptions options_;
  std::vector<std::int64_t> assignment_;  ///< [S]
  std::vector<std::int64_t> mass_;        ///< [K], members
  // The neighbourhood of series s is [offsets_[s], offsets_[s + 1]).
  std::vector<std::int64_t> offsets_;
  std::vector<std::int64_t> representative_;
  std::vector<float> weight_;
  std::vector<float> correlation_;
  std::vector<std::int64_t> constant_;
  double isolation_rate_ = 0.0;
  std::string note_;
};

}  // namespace ecseq::relation
