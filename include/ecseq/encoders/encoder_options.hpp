#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ecseq/core/targets.hpp"
#include "ecseq/nn/training.hpp"

namespace ecseq::encoders {

/// A column of the events that holds categories: any finite numbers, each a category of its own.
struct CategoricalColumn {
  Index column = 0;
  Index dimension = 8;  ///< of the embedding
  double max_norm = 0;  ///< longest embedding, kept by shrinking after each step; 0 = no bound
  /// Categories with fewer training events share the row of the unknown ones, which is how that
  /// row learns something.
  Index min_count = 2;
  bool operator==(const CategoricalColumn&) const = default;
};

/// What a Transformer has beside its size (nn/transformer_layer.hpp).
struct TransformerOptions {
  int n_heads = 4;
  Index feed_forward_size = 0;           ///< 0 = 4 H
  std::string norm = "pre";              ///< "pre" or "post": before or after each sublayer
  std::string activation = "gelu";       ///< "gelu" or "relu"
  std::string positions = "sinusoidal";  ///< "sinusoidal", "learned" or "none"
  Index max_length = 512;  ///< longest sequence with learned positions; sinusoidal ones kept ready
  bool causal = true;      ///< an event looks at itself and earlier ones only
  bool input_projection = true;  ///< linear map from an event to H columns
  bool final_norm = true;        ///< layer norm after the last layer
};

/// How events are read and how the network is trained.
struct EncoderOptions {
  std::string cell = "lstm";                   ///< "lstm", "gru" or "transformer"
  Index hidden_size = 32;                      ///< H
  int n_layers = 1;                            ///< 1 to 4, a Transformer 1 to 24
  bool bidirectional = false;                  ///< recurrent layers read both ways, a cell for each
  double dropout = 0.0;                        ///< between recurrent layers; in a Transformer's too
  std::string pooling = "last";                ///< "last", "mean", "max" or "attention"
  TransformerOptions transformer;              ///< of a Transformer
  std::vector<CategoricalColumn> categorical;  ///< in the order of their columns
  bool time_features = false;                  ///< read the events' times, see EventEncoder

  /// What a label belongs to: "sequence", or "event" (loss at every step in one pass over each
  /// sequence; for networks that do not look ahead, with pooling "last").
  std::string labels_per = "sequence";
  /// What early stopping watches for two classes: "auc", "ap", "loss", or "auto", the mean of AUC
  /// and average precision. Of other tasks, and where one class only is held out, it is the loss.
  std::string selection = "auto";
  std::vector<float> class_weight;  ///< [n_classes] weight of each class in the loss, or empty
  nn::TrainingOptions training = default_training();

  bool is_transformer() const { return cell == "transformer"; }
  int directions() const { return bidirectional ? 2 : 1; }
  /// Columns of a state and of the embedding: H, or 2H with both directions.
  Index embedding_size() const { return hidden_size * directions(); }
  /// Whether the state after an event depends on later events.
  bool looks_ahead() const { return is_transformer() ? !transformer.causal : bidirectional; }

  static nn::TrainingOptions default_training() {
    nn::TrainingOptions options;
    options.batch_size = 0;  // by the number of sequences, at most 512
    options.shard_size = 64;
    options.max_epochs = 30;
    options.patience = 5;
    options.learning_rate = 3e-3;
    options.stage = "encoder";
    return options;
  }
};

/// Calls visit(name, member) for each option that says what the network is, as opposed to how it
/// is trained: what a file must hold beside the weights.
template <class Options, class Visit>
void visit_architecture(Options& options, const Visit& visit) {
  visit("cell", options.cell);
  visit("hidden_size", options.hidden_size);
  visit("n_layers", options.n_layers);
  visit("bidirectional", options.bidirectional);
  visit("dropout", options.dropout);
  visit("pooling", options.pooling);
  visit("categorical", options.categorical);
  visit("time_features", options.time_features);
  visit("n_heads", options.transformer.n_heads);
  visit("feed_forward_size", options.transformer.feed_forward_size);
  visit("norm", options.transformer.norm);
  visit("activation", options.transformer.activation);
  visit("positions", options.transformer.positions);
  visit("max_length", options.transformer.max_length);
  visit("causal", options.transformer.causal);
  visit("input_projection", options.transformer.input_projection);
  visit("final_norm", options.transformer.final_norm);
}

/// Throws InvalidArgument, which names the option.
void require_valid(const EncoderOptions& options);
/// Throws InvalidArgument unless the class weights fit the task.
void require_class_weights(const std::vector<float>& weights, Task task, int n_classes);

}  // namespace ecseq::encoders
