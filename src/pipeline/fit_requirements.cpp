#include "fit_requirements.hpp"

#include <string>

#include "ecseq/core/error.hpp"
#include "ecseq/core/require.hpp"

namespace ecseq::pipeline {
namespace {

void require_share(const char* name, double value) {
  if (!(value >= 0.0 && value < 1.0)) {
    throw InvalidArgument(std::string(name) + ": expected a number in [0, 1), got " +
                          std::to_string(value));
  }
}

}  // namespace

void require_options(const ModelOptions& options, const Targets& y) {
  require_one_of("gnn", options.gnn, {"sage_mean", "sage_max", "gcn", "gat", "attention"});
  if (options.n_layers != 1 && options.n_layers != 2) {
    throw InvalidArgument("n_layers: expected 1 or 2, got " + std::to_string(options.n_layers));
  }
  nn::activation_named(options.activation);
  require_loss(options.loss, y.task);
  if (!options.embedding && !options.residual) {
    throw InvalidArgument("embedding, residual: the relation layer needs one of both");
  }
  require_one_of("selection", options.selection, {"auto", "auc", "ap", "loss"});
  require_one_of("mode", options.mode, {"targets", "compressed", "joint", "pretrain"});
  if (options.similarity) relation::validate(*options.similarity);
  if (options.mode != "targets" && !options.similarity) {
    throw InvalidArgument("mode: '" + options.mode +
                          "' trains on similarity representatives, but relations has none");
  }
  for (const auto& entity : options.entities) {
    require_one_of("aggregator", entity.aggregator, {"summary", "gru", "gnn"});
    if (entity.aggregator == "summary") continue;
    if (entity.set || !entity.timed) {
      throw InvalidArgument("aggregator: '" + entity.aggregator + "' of '" + entity.by +
                            "' takes one entity per row and times");
    }
    if (options.mode != "targets") {
      throw InvalidArgument("aggregator: '" + entity.aggregator +
                            "' remembers labels of targets; mode must be 'targets'");
    }
  }
  if (!options.similarity && options.entities.empty()) {
    throw InvalidArgument("relations: expected at least one relation");
  }
  require_at_least("hidden_size", options.hidden_size, 1);
  for (const Index size : options.head) require_at_least("head", size, 1);
  const bool has_heads = options.gnn == "gat" || options.gnn == "attention";
  require_at_least("heads", options.heads, 1);
  if (has_heads && options.hidden_size % options.heads != 0) {
    throw InvalidArgument(
        "heads: expected a divisor of hidden_size = " + std::to_string(options.hidden_size) +
        ", got " + std::to_string(options.heads));
  }
  require_share("dropout", options.dropout);
  require_share("input_dropout", options.input_dropout);
  require_share("attention_dropout", options.attention_dropout);
  require_at_least("max_epochs", options.training.max_epochs, 1);
  require_at_least("patience", options.training.patience, 1);
  if (!(options.training.learning_rate > 0.0)) {
    throw InvalidArgument("learning_rate: expected a positive number, got " +
                          std::to_string(options.training.learning_rate));
  }
  if (!options.class_weight.empty() &&
      options.class_weight.size() != static_cast<std::size_t>(y.n_classes)) {
    throw InvalidArgument("class_weight: expected " + std::to_string(y.n_classes) +
                          " weights, one per class, got " +
                          std::to_string(options.class_weight.size()));
  }
}

void require_training_samples(const ModelState& state, const Samples& samples, const Targets& y,
                              const char* part) {
  if (samples.size() < 1) {
    throw InvalidArgument(std::string("X: the ") + part + " part has no rows (n_samples = 0)");
  }
  require_fit(state, samples);
  if (y.size() != samples.size()) {
    throw InvalidArgument("y: expected " + std::to_string(samples.size()) +
                          " labels, one per row of X, got " + std::to_string(y.size()));
  }
}

void require_tunable(const ModelOptions& options, const ModelState& state) {
  const bool fits = state.has_encoder_head() && options.similarity &&
                    options.similarity->attach == "knn" && options.gnn == "sage_mean" &&
                    options.n_layers == 1 && options.own_head && options.embedding &&
                    !state.learns_memories();
  if (!fits) {
    throw InvalidArgument(
        "tune_encoder: goes from an encoder with a head through one layer of 'sage_mean', attached "
        "by 'knn' to representatives by similarity, with the built-in head");
  }
}

void require_unlabelled(const ModelState& state, const Samples& samples) {
  if (!state.options.similarity) {
    throw InvalidArgument(
        "X_unlabeled: rows without labels help a similarity relation only, but relations has none");
  }
  Samples rows = samples;  // entities and times of rows without labels say nothing
  ModelState alone;
  alone.encoder = state.encoder;
  alone.input_features = state.input_features;
  require_fit(alone, rows);
}

}  // namespace ecseq::pipeline
