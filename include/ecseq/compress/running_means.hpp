#pragma once

#include <cstdint>
#include <vector>

#include "ecseq/compress/representatives.hpp"

namespace ecseq::compress {

/// Representatives that follow new rows: each row goes to the nearest and moves it, so that a
/// representative stays the mean of all its members (MacQueen's k-means), in double however many
/// there are.
class RunningMeans {
 public:
  /// Starts from the members that `start` counts; where its vectors are their members' means,
  /// spreads stay exact too.
  explicit RunningMeans(Representatives start);

  /// Assigns the rows to the representatives as they are before the call, the first on ties, and
  /// then moves those, row after row. x: [n, h], finite; labels: [n, channels]. Returns the
  /// assignment, [n], the same for any number of threads. Throws InvalidArgument and changes
  /// nothing where a shape does not fit or a value is not finite.
  std::vector<std::int64_t> partial_fit(MatrixView<float> x, MatrixView<float> labels,
                                        int num_threads = 0);

  /// vectors, mass, spread and label_sums of all members; the cases are those of the start.
  const Representatives& representatives() const { return representatives_; }

 private:
  Representatives representatives_;
  Matrix<double> means_;         ///< [K, h]
  std::vector<double> squares_;  ///< [K], sums of squared distances of the members from the mean
};

}  // namespace ecseq::compress
