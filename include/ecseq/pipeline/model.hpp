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
#include "ecseq/gnn/input_layout.hpp"
#include "ecseq/io/mapped_file.hpp"
#include "ecseq/nn/training.hpp"
#include "ecseq/pipeline/gate.hpp"
#include "ecseq/pipeline/relation_layer.hpp"
#include "ecseq/pipeline/samples.hpp"
#include "ecseq/relation/entity_memory.hpp"
#include "ecseq/relation/similarity_relation.hpp"

namespace ecseq::pipeline {

struct ModelOptions {
  std::optional<relation::SimilarityOptions> similarity = relation::SimilarityOptions{};
  std::vector<relation::EntityOptions> entities;
  std::string gnn = "sage_mean";    ///< see gnn::BackboneOptions
  Index n_layers = 1;               ///< graph layers, 1 or 2
  Index heads = 4;                  ///< of "gat" and "attention"
  std::string activation = "relu";  ///< of hidden layers, see nn::activation_named
  bool embedding = true;      ///< the relation layer sees a target's own embedding ("gcn" and "gat"
                              ///< without residual: only as a node like the representatives)
  bool residual = true;       ///< and what the base says of it; one of both at least
  Index hidden_size = 32;     ///< of the relation layer and the MLP control
  std::vector<Index> head;    ///< sizes of the head's hidden layers; none: a linear head
  std::string loss = "auto";  ///< "auto", "huber" or "paper", see require_loss
  std::string mode = "targets";     ///< "targets", "compressed", "joint" or "pretrain"
  double aux_weight = 1.0;          ///< joint: weight of the representatives' loss
  double dropout = 0.1;             ///< of hidden layers
  double input_dropout = 0.0;       ///< of what graph layers other than one "sage_mean" see
  double attention_dropout = 0.0;   ///< of the attention weights of "gat" and "attention"
  bool standardize = true;          ///< the relation layer's inputs
  std::string selection = "auto";   ///< what early stopping watches, see selection_score
  bool own_head = true;             ///< false: the caller trains a head of its own on `inputs`
  bool gate = true;                 ///< stack with the base, or fall back to it, as validation says
  std::vector<float> class_weight;  ///< [n_classes] or empty
  /// Train the encoder on through attachment and relation layer, and fit anew on what it then says,
  /// if validation likes that better.
  bool tune_encoder = false;
  bool controls = true;          ///< also fit logistic regression and an MLP on the embedding
  nn::TrainingOptions training;  ///< of the relation layer; batch_size 0 = by the data's size
  std::string metadata;          ///< the caller's own text, kept in the model file
};

/// One attached representative and what it did.
struct SimilarCase {
  Index representative = 0;
  float similarity = 0.0f;  ///< cosine of the embeddings
  float weight = 0.0f;
  double mass = 0.0;                ///< training sequences it stands for
  std::vector<double> label_mix;    ///< share of each class, or the mean target
  std::vector<std::int64_t> cases;  ///< its most typical training rows
  float contribution = 0.0f;        ///< see Explanation::method
};
struct EntityCase {
  std::string by;
  bool known = false;              ///< seen before
  std::vector<std::string> names;  ///< of the facts
  std::vector<float> facts;        ///< the entity representative's numbers
  float contribution = 0.0f;       ///< see Explanation::method
};
/// Outputs are logits, or values for regression; of class `output` for several classes.
struct Explanation {
  Index output = 0;
  float score = 0.0f;
  float base_score = 0.0f;
  float without_relations = 0.0f;
  /// What contributions are. "occlusion": the output less what it is without a representative, or
  /// with an entity never seen. "gradient": gradient times input; then own, rest, other_similar and
  /// all contributions sum to the score. "additive": the same where that is exact, the model being
  /// linear in what it hears.
  std::string method;
  float own = 0.0f;            ///< of the embedding and the base output
  float rest = 0.0f;           ///< "additive": a constant of the model
  float other_similar = 0.0f;  ///< of representatives beyond `top`
  std::vector<SimilarCase> similar;
  std::vector<EntityCase> entities;
};

/// What a fit saw on its way.
struct FitDetails {
  Matrix<float> training_inputs;     ///< [n, width], what a head learns from; without own_head
  Matrix<float> validation_inputs;   ///< [m, width], the same
  std::vector<Index> rows;           ///< of the training part, those that the head learns from
  Matrix<float> validation_outputs;  ///< [m, outputs], through the gate; empty without own_head
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
  /// details: takes what was seen on the way, or null. unlabelled: rows that only help to find
  /// similarity representatives, or null. Throws InvalidArgument before any work where an argument
  /// does not fit.
  static Model fit(const Samples& training, const Targets& y, const Samples& validation,
                   const Targets& y_validation, const ModelOptions& options,
                   std::optional<encoders::SequenceEncoder> encoder = {},
                   const ProgressCallback& progress = {}, const Samples* unlabelled = nullptr,
                   FitDetails* details = nullptr);

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
  /// What the head sees: embedding and base outputs, and what each relation says of a row. Only of
  /// models whose representatives' mean is a part of it. [n, width]
  Matrix<float> inputs(const Samples& samples, int num_threads = 0) const;
  /// The same for a later period, see `replay`.
  Matrix<float> replay_inputs(const Samples& samples, const Targets& y, int num_threads = 0) const;
  /// A head of the caller's own: fits the gate on what base and head say of validation rows.
  void fit_gate_of(const Matrix<float>& base, const Matrix<float>& head, const Targets& y);
  const Gate& gate() const;
  /// What the gate makes of base and head: [n, outputs]
  Matrix<float> gated(const Matrix<float>& base, const Matrix<float>& head) const;

  /// A later period, event by event as it would have happened: each row sees the entity events
  /// before it, and their labels once label_delay has passed. The state does not change.
  Matrix<float> replay(const Samples& samples, const Targets& y, int num_threads = 0) const;
  /// Advances every kind of representative by labelled rows and keeps everything else: entity
  /// states, and those by similarity unless nothing is compressed there. How the rows differ from
  /// what the latter were made of; empty without them. Where it throws, nothing has changed.
  std::optional<compress::Drift> observe(const Samples& samples, const Targets& y,
                                         int num_threads = 0);

  /// top: representatives per row, those that matter most first. method: "occlusion", "gradient",
  /// or "auto": additive where that is exact, else occlusion. entities: what the rows' entities are
  /// known for, where that is not what the model's own memories hold.
  std::vector<Explanation> explain(const Samples& samples, Index top, int num_threads = 0,
                                   const std::string& method = "auto",
                                   const EntityBlocks* entities = nullptr) const;
  /// `decide` where row i is not attached to the representatives removed[i]. [n, outputs]
  Matrix<float> decide_without(const Samples& samples,
                               const std::vector<std::vector<std::int64_t>>& removed,
                               int num_threads = 0) const;

  /// Throws InvalidArgument where samples do not fit the model.
  void require_fitting(const Samples& samples) const;

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
  /// Columns of the relation layer's dense inputs: "self" (embedding, base outputs), "similarity"
  /// where representatives are averaged, then every entity relation.
  const std::vector<gnn::InputLayout::Block>& input_blocks() const;
  /// Graph layers and head; only with options().own_head.
  const RelationLayer& layer() const;
  /// What the base is where no encoder has a head: linear, of the embedding; else null.
  const Network* base_network() const;
  /// Seconds per stage, validation metrics of base, ECSeq and controls, gate, curve: JSON text.
  const std::string& report() const;
  void set_metadata(std::string text);

  /// One safetensors file; `load` checks every bound and replays the verification cases.
  std::string to_bytes() const;
  static Model from_bytes(std::string_view bytes, const std::string& origin = "model");
  void save(const std::string& path) const;
  /// kMap: the encoder's tables of categories are read where they lie in the file, see FileAccess.
  static Model load(const std::string& path, io::FileAccess access = io::FileAccess::kRead);

 private:
  explicit Model(std::unique_ptr<ModelState> state);
  std::unique_ptr<ModelState> state_;
};

}  // namespace ecseq::pipeline
