#pragma once

#include <map>
#include <string>

#include "ecseq/autograd/operations/shapes.hpp"
#include "ecseq/core/shared_matrix.hpp"
#include "ecseq/nn/parameters.hpp"

namespace ecseq::pipeline {

/// Gives `parameters` the tensors by their names behind `prefix`. Throws Refused, whose message
/// begins with `origin`, where one is missing, of another shape or not finite.
template <class Refused>
void take_parameters(nn::Parameters<float>& parameters,
                     const std::map<std::string, SharedMatrix>& tensors, const std::string& prefix,
                     const std::string& origin = "") {
  for (std::size_t i = 0; i < parameters.entries().size(); ++i) {
    const auto& entry = parameters.entries()[i];
    const auto found = tensors.find(prefix + entry.name);
    const std::string name = origin + "tensor '" + prefix + entry.name + "'";
    if (found == tensors.end()) throw Refused(name + " is missing");
    const SharedMatrix& tensor = found->second;
    if (tensor.rows() != entry.rows || tensor.cols() != entry.cols) {
      throw Refused(name + " has shape " + autograd::shape_text(tensor.rows(), tensor.cols()) +
                    ", expected " + autograd::shape_text(entry.rows, entry.cols));
    }
    if (!tensor.eigen().allFinite()) throw Refused(name + " holds a value that is not finite");
    parameters.give(static_cast<int>(i), tensor.owner());
  }
}

}  // namespace ecseq::pipeline
