#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/compress/representatives.hpp"

namespace ecseq::compress {

/// How representatives follow rows that are unlike those they were made of.
struct UpdateOptions {
  double keep = 1.0;   ///< share of all earlier mass that stays, in (0, 1]: below 1, older rows are
                       ///< forgotten from update to update
  double reach = 2.0;  ///< a row farther from its nearest representative than this many radii is
                       ///< far from all
  Index min_mass = 10;        ///< rows far from all that make a representative of their own
  double retire_below = 0.5;  ///< mass under which a representative is given up, in [0, 1]
  std::uint64_t seed = 0;     ///< of the k-means among the rows far from all
  int num_threads = 0;        ///< the result does not depend on it
};

/// How far new rows are from what the representatives were made of.
struct Drift {
  Index rows = 0;
  double beyond_radius = 0.0;  ///< share of the rows outside the radius of their nearest
                               ///< representative; 1 - kWithinRadius where nothing drifts
  double mass_shift = 0.0;     ///< total variation distance between the shares of the mass and the
                               ///< shares of the new rows, over representatives: 0 .. 1; grows
                               ///< also where the rows are few
  double label_shift = 0.0;    ///< largest difference over the label channels between the mean of
                               ///< the rows and what the label mixes of their representatives say
  Index added = 0;
  Index retired = 0;
  std::vector<std::int64_t> renumbered;  ///< [K before], its number now; -1 = retired
  std::vector<std::int64_t> assignment;  ///< [rows], by the numbers now
};

/// Representatives that follow new rows: each row goes to the nearest and moves it, so that a
/// representative stays the mean of all its members (MacQueen's k-means), in double however many
/// there are.
class RunningMeans {
 public:
  /// Starts from the members that `start` counts; where its vectors are their members' means,
  /// spreads stay exact too.
  explicit RunningMeans(Representatives start);
  /// Goes on where another stopped. means: [K, h], its means().
  RunningMeans(Representatives start, Matrix<double> means);

  /// Assigns the rows to the representatives as they are before the call, the first on ties, and
  /// then moves those, row after row. x: [n, h], finite; labels: [n, channels]. Returns the
  /// assignment, [n], the same for any number of threads. Throws InvalidArgument and changes
  /// nothing where a shape does not fit or a value is not finite.
  std::vector<std::int64_t> partial_fit(MatrixView<float> x, MatrixView<float> labels,
                                        int num_threads = 0);

  /// The same, and representatives come and go. Earlier mass is scaled by `keep`. Rows far from all
  /// are clustered among themselves by k-means, as finely as the representatives are on average;
  /// clusters of at least min_mass rows become representatives, and the others' rows go to the
  /// nearest after all. Then representatives whose mass fell below retire_below are given up, but
  /// for the heaviest. The radii of those that stay are as they were: what drift is measured by.
  /// Throws as partial_fit does, and for an option out of range.
  Drift update(MatrixView<float> x, MatrixView<float> labels, const UpdateOptions& options = {});

  /// vectors, mass, spread and label_sums of all members; cases and radii are those of the start,
  /// and of added ones none and their own.
  const Representatives& representatives() const { return representatives_; }
  const Matrix<double>& means() const { return means_; }

 private:
  void require_rows(MatrixView<float> x, MatrixView<float> labels) const;
  void add_rows(MatrixView<float> x, MatrixView<float> labels,
                const std::vector<std::int64_t>& assignment);
  /// Adds representatives without mass where `found` has those chosen.
  void append_empty(const Representatives& found, const std::vector<Index>& chosen);
  /// Gives up representatives of less mass; returns each one's number now, or -1.
  std::vector<std::int64_t> retire(double below);
  void refresh();

  Representatives representatives_;
  Matrix<double> means_;         ///< [K, h]
  std::vector<double> squares_;  ///< [K], sums of squared distances of the members from the mean
};

}  // namespace ecseq::compress
