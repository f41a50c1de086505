#pragma once

#include <memory>
#include <string>

#include "dense_chain.hpp"
#include "ecseq/nn/parameters.hpp"
#include "ecseq/relation/similarity_relation.hpp"

namespace ecseq::serving {

/// A graph layer (gnn/) of one target over sources that never change: what a source sends is
/// computed once, when the layer is made.
class GraphLayer {
 public:
  virtual ~GraphLayer() = default;
  /// own: [in], the target's features; z: [out], before any activation
  virtual void apply(const float* own, const relation::Neighbours& heard, float* z,
                     Arena& memory) const = 0;
};

/// kind: "sage_mean", "sage_max", "gcn", "gat" or "attention"; its parameters are those of `name`
/// among `parameters`. sources: [K, f].
std::unique_ptr<GraphLayer> make_graph_layer(const std::string& kind,
                                             const nn::Parameters<float>& parameters,
                                             const std::string& name, MatrixView<float> sources);

/// "gcn" with weights of the caller's.
std::unique_ptr<GraphLayer> make_gcn_layer(const Affine& weights, MatrixView<float> sources);

}  // namespace ecseq::serving
