#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ecseq/compress/representatives.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/core/targets.hpp"
#include "ecseq/encoders/sequence_encoder.hpp"
#include "ecseq/nn/training.hpp"
#include "ecseq/pipeline/samples.hpp"
#include "ecseq/relation/entity_memory.hpp"
#include "ecseq/relation/similarity_relation.hpp"

namespace ecseq::pipeline {

struct ModelOptions {
  std::optional<relation::SimilarityOptions> similarity = relation::SimilarityOptions{};
  std::vector<relation::EntityOptions> entities;
  std::string gnn = "sage_mean";
  Index hidden_size = 32;        ///< of the relation layer and the MLP control
  std::string mode = "targets";  ///< "targets", "compressed", "joint" or "pretrain"
  double aux_weight = 1.0;       ///< joint: weight of the representatives' loss
  double dropout = 0.1;
  std::vector<float> class_weight;  ///< [n_classes] or empty
  bool controls = true;             ///< also fit logistic regression and an MLP on the embedding
  nn::TrainingOptions training;     ///< of the relation layer; batch_size 0 = by the data's size
  std::string metadata;             ///< the caller's own text, kept in the model file
};

/// One attached representative and what it did.
struct SimilarCase {
  Index representative = 0;
  float similarity = 0.0f;  ///< cosine of the embeddings
  float weight = 0.0f;
  double mass = 0.0;                ///< training sequences it stands for
  std::vector<double> label_mix;    ///< share of each class, or the mean target
  std::vector<std::int64_t> cases;  ///< its most typical training rows
  float contribution = 0.0f;        ///< change of the output when it is removed, sign reversed
};
struct EntityCase {
  std::string by;
  bool known = false;              ///< seen before
  std::vector<std::string> names;  ///< of the facts
  std::vector<float> facts;        ///< the entity representative's numbers
  float contribution = 0.0f;       ///< output minus output with a never-seen entity
};
/// Outputs are logits, or values for regression; of class `output` for several classes.
struct Explanation {
  Index output = 0;
  float score = 0.0f;
  float base_score = 0.0f;
  float without_relations = 0.0f;
  std::vector<SimilarCase> similar;
  std::vector<EntityCase> entities;
};

struct ModelState;

/// ECSeq: encoder (or embeddings from anywhere) + relations + GNN layer + head + gate.
///
/// Read a prediction in this order: embed, base_outputs, relation_inputs (attach and aggregate),
/// head, gate; all in src/pipeline/model.cpp.
class Model {
 public:
  /// Fits everything but the encoder, which comes fitted, or is absent for embeddings.
  /// Labels of validation rows decide early stopping and the gate, nothing else.
  /// Throws InvalidArgument before any work where an argument does not fit.
  static Model fit(const Samples& training, const Targets& y, const Samples& validation,
                   const Targets& y_validation, const ModelOptions& options,
                   std::optional<encoders::SequenceEncoder> encoder = {},
                   const ProgressCallback& progress = {});

  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  Model(const Model&);
  Model& operator=(const Model&);
  ~Model();

  /// [n, outputs]: logits, or values for regression. With timed entities, `samples.times` says as
  /// of when; the state does not change.
  Matrix<float> decide(const Samples& samples, int num_threads = 0) const;
  /// Probabilities [n, classes], or values [n, 1].
  Matrix<float> predict(const Samples& samples, int num_threads = 0) const;
  /// The enriched embedding [n, hidden_size].
  Matrix<float> transform(const Samples& samples, int num_threads = 0) const;
  /// The base's outputs: the encoder's own head, or logistic (linear) regression. [n, outputs]
  Matrix<float> base(const Samples& samples, int num_threads = 0) const;
  /// A control's outputs: "logistic_regression" or "mlp" on the same embedding. [n, outputs]
  Matrix<float> control(const Samples& samples, const std::string& name, int num_threads = 0) const;

  /// A later period, event by event as it would have happened: each row sees the entity events
  /// before it, and their labels once label_delay has passed. The state does not change.
  Matrix<float> replay(const Samples& samples, const Targets& y, int num_threads = 0) const;
  /// Advances the entity states by labelled rows and keeps everything else.
  void observe(const Samples& samples, const Targets& y);

  std::vector<Explanation> explain(const Samples& samples, Index top, int num_threads = 0) const;

  Task task() const;
  int n_classes() const;
  Index input_features() const;  ///< embedding size, or features of an event
  double target_mean() const;    ///< regression: label mixes are in units of target_std around it
  double target_std() const;
  const ModelOptions& options() const;
  const std::optional<encoders::SequenceEncoder>& encoder() const;
  /// Null without a similarity relation.
  const relation::SimilarityRelation* similarity() const;
  const std::vector<relation::EntityMemory>& entities() const;
  /// Seconds per stage, validation metrics of base, ECSeq and controls, gate, curve: JSON text.
  const std::string& report() const;
  void set_metadata(std::string text);

  /// One safetensors file; `load` checks every bound and replays the verification cases.
  std::string to_bytes() const;
  static Model from_bytes(std::string_view bytes, const std::string& origin = "model");
  void save(const std::string& path) const;
  static Model load(const std::string& path);

 private:
  explicit Model(std::unique_ptr<ModelState> state);
  std::unique_ptr<ModelState> state_;
};

}  // namespace ecseq::pipeline
