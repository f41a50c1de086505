#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ecseq/core/matrix.hpp"
#include "ecseq/core/progress.hpp"

namespace ecseq::graph {

/// FAISS's hierarchical navigable small world (Malkov and Yashunin, 2018) over all rows. Built on
/// one thread: on several, its links depend on which row comes first.
class HnswIndex {
 public:
  /// x: [N, h], copied.
  HnswIndex(const Matrix<float>& x, const ProgressCallback& progress);
  ~HnswIndex();

  /// More rows are met with a higher one: FAISS's efSearch.
  void set_effort(int effort);
  /// The rows near each of `queries`, without itself, nearest first, -1 where fewer than k were
  /// met. out: [n, k]. On the calling thread; other threads may call it at the same time.
  void nearest(const Index* queries, Index n, Index k, std::int32_t* out) const;

 private:
  struct Faiss;
  std::unique_ptr<Faiss> faiss_;
};

}  // namespace ecseq::graph
