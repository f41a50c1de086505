#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ecseq/pipeline/model.hpp"
#include "fixed_sources.hpp"
#include "graph_layer.hpp"
#include "memory_layer.hpp"

namespace ecseq::serving {

/// What a relation layer sees of one target.
struct TargetInputs {
  /// [own_size]: the dense inputs but the representatives' mean, not yet standardised
  float* own = nullptr;
  const float* embedding = nullptr;  ///< [h]
  relation::Neighbours neighbours;   ///< none without a similarity relation
  /// Rows remembered of each entity relation whose labels a layer aggregates, newest last.
  struct Remembered {
    const float* rows;
    Index count;
  };
  std::span<const Remembered> remembered;
};

/// pipeline::RelationLayer with all that does not depend on the target computed beforehand: a
/// representative's way through the first layer's weights, or all the way to the outputs where no
/// activation is in between: then it is one number per output.
class FoldedLayer {
 public:
  /// Of a model with a head of its own.
  explicit FoldedLayer(const pipeline::Model& model);

  Index own_size() const { return own_scaler_.size(); }
  /// Where entity relation e's columns begin in `own`.
  Index entity_begin(std::size_t e) const { return entity_begin_[e]; }
  /// out: [outputs], as RelationLayer::predict
  void apply(const TargetInputs& inputs, float* out, Arena& memory) const;

 private:
  std::vector<Index> find_own_columns(const pipeline::Model& model);
  void fold_dense(const pipeline::Model& model, std::vector<Affine> layers,
                  const nn::Scaler& scaler, std::vector<Index> own_columns);
  void fold_graph(const pipeline::Model& model, const pipeline::GraphNetwork& network);
  void graph_layers(const TargetInputs& inputs, const float* own, float* z, Arena& memory) const;

  const relation::SimilarityRelation* similarity_ = nullptr;  ///< of the model
  nn::Scaler own_scaler_;
  std::vector<Index> entity_begin_;
  std::vector<MemoryLayer> memories_;

  // z = act(W own + b + what is heard)
  nn::Activation activation_ = nn::Activation::kNone;
  std::optional<kernels::PackedMatrix> dense_;  ///< W, b
  Index width_ = 0;                             ///< of z

  // Heard as a mean: each representative through W, or, where standardising would clip one, the
  // mean itself through it.
  std::optional<FixedSources> sources_;
  nn::Scaler mean_scaler_;  ///< of the mean's columns, where it is not folded
  std::optional<kernels::PackedMatrix> mean_;

  // Heard through graph layers.
  nn::Scaler node_scaler_;
  bool nodes_of_one_kind_ = false;
  std::unique_ptr<GraphLayer> first_, second_;

  std::optional<DenseChain> head_;  ///< without, z is the output
};

}  // namespace ecseq::serving
