#pragma once

#include <vector>

#include "ecseq/core/arena.hpp"

namespace ecseq::serving {

/// The memory that scoring works in: one per thread, used again for every request, so that after
/// the first few nothing is taken from the heap. What a Score refers to lies here.
struct Workspace {
  Arena memory;
  std::vector<float> remembered;  ///< rows of entity memories that a layer aggregates

  /// The calling thread's own, for callers that keep none. Calls that are given no workspace use
  /// it too.
  static Workspace& of_this_thread();
};

}  // namespace ecseq::serving
