#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq::graph {

class MetricSpace;

/// Which rows lie within a Euclidean distance of which, exactly, as bits: no list of pairs, so that
/// neither time nor memory depends on how many there are.
class RangeSearch {
 public:
  /// x: [N, h], finite; radius >= 0.
  RangeSearch(MatrixView<float> x, double radius);
  ~RangeSearch();

  /// Rows to search among, prepared for the products.
  class Points {
   public:
    Index size() const { return static_cast<Index>(rows_.size()); }
    /// 64-bit words of one row's bits.
    Index words() const { return (size() + 63) / 64; }

   private:
    friend class RangeSearch;
    struct Packed;
    std::vector<Index> rows_;
    std::shared_ptr<const Packed> packed_;
  };
  Points points(std::vector<Index> rows) const;

  /// Bit j of row q: whether rows[q] is within the radius of the j-th point. rows: [n], bits:
  /// [n, points.words()], overwritten. On the calling thread; meant for some hundred rows.
  void within(const Points& points, const Index* rows, Index n, std::uint64_t* bits) const;

 private:
  std::unique_ptr<const MetricSpace> space_;
  double radius_;
};

}  // namespace ecseq::graph
