#pragma once

#include <vector>

namespace ecseq::pipeline {

/// Gradient times input of one output of one target, by standardised input (Shrikumar et al. 2016):
/// for a layer without activation they add up to the output, but for what `rest` holds, which is
/// then the same for every target.
struct Attribution {
  float value = 0.0f;        ///< the output
  std::vector<float> dense;  ///< [width], by dense input
  std::vector<float> edges;  ///< by edge, with what its source heard before; empty where averaged
  std::vector<float> memories;  ///< by remembered labels that a layer aggregates
  float node = 0.0f;            ///< of the target as a node
  float rest = 0.0f;            ///< value less all of them
};

}  // namespace ecseq::pipeline
