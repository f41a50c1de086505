#pragma once

#include <cmath>
#include <map>
#include <set>
#include <string>

#include "ecseq/autograd/operations/shapes.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/shared_matrix.hpp"

namespace ecseq::encoders {

/// The tensors of a file, taken one after the other until none is left: what is missing, of
/// another shape, not finite or left over is refused by name.
class NamedTensors {
 public:
  using Map = std::map<std::string, SharedMatrix>;
  /// Refers to `tensors`.
  explicit NamedTensors(const Map& tensors) : tensors_(tensors) {}

  bool has(const std::string& name) const { return tensors_.count(name) > 0; }

  /// rows, cols: the shape it must have; -1 for any number but 0. Throws FileError.
  const SharedMatrix& take(const std::string& name, Index rows, Index cols) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw FileError("encoder: tensor '" + name + "' is missing");
    const SharedMatrix& tensor = found->second;
    const auto fits = [](Index got, Index expected) {
      return expected < 0 ? got > 0 : got == expected;
    };
    if (!fits(tensor.rows(), rows) || !fits(tensor.cols(), cols)) {
      const auto text = [](Index n) { return n < 0 ? std::string("any") : std::to_string(n); };
      throw FileError("encoder: tensor '" + name + "' has shape " +
                      autograd::shape_text(tensor.rows(), tensor.cols()) + ", expected [" +
                      text(rows) + ", " + text(cols) + "]");
    }
    for (Index i = 0; i < tensor.size(); ++i) {
      if (!std::isfinite(tensor.data()[i])) {
        throw FileError("encoder: tensor '" + name + "' holds a value that is not finite");
      }
    }
    taken_.insert(name);
    return tensor;
  }

  /// Throws FileError for a tensor that nobody took.
  void require_all_taken() const {
    for (const auto& [name, tensor] : tensors_) {
      if (taken_.count(name) == 0) throw FileError("encoder: tensor '" + name + "' is not known");
    }
  }

 private:
  const Map& tensors_;
  std::set<std::string> taken_;
};

}  // namespace ecseq::encoders
