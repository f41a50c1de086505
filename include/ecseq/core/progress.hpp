#pragma once

#include <functional>
#include <string>

#include "ecseq/core/error.hpp"
#include "ecseq/core/matrix.hpp"

namespace ecseq {

/// A moment of long work, as handed to the caller's callback.
struct Progress {
  std::string stage;    ///< "encoder", "compress", "gnn", ...
  Index done = 0;       ///< units finished
  Index total = 0;      ///< units in all; early stopping may end before
  std::string message;  ///< e.g. "loss 0.312, validation AUC 0.871"
};

/// Called on the calling thread at least every few milliseconds of work; returning false
/// stops the work with `Interrupted`. May be empty.
using ProgressCallback = std::function<bool(const Progress&)>;

inline void report(const ProgressCallback& callback, const Progress& progress) {
  if (callback && !callback(progress)) throw Interrupted();
}

}  // namespace ecseq
