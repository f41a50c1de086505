#include "ecseq/encoders/encoder_options.hpp"

#include <cmath>

#include "ecseq/core/require.hpp"

namespace ecseq::encoders {
namespace {

constexpr int kMostRecurrentLayers = 4;
constexpr int kMostTransformerLayers = 24;

void require_transformer(const EncoderOptions& options) {
  const TransformerOptions& transformer = options.transformer;
  require_at_least("n_heads", transformer.n_heads, 1);
  if (options.hidden_size % transformer.n_heads != 0) {
    throw InvalidArgument("n_heads: expected a divisor of hidden_size " +
                          std::to_string(options.hidden_size) + ", got " +
                          std::to_string(transformer.n_heads));
  }
  require_at_least("feed_forward_size", transformer.feed_forward_size, 0);
  require_one_of("norm", transformer.norm, {"pre", "post"});
  require_one_of("activation", transformer.activation, {"gelu", "relu"});
  require_one_of("positions", transformer.positions, {"sinusoidal", "learned", "none"});
  require_at_least("max_length", transformer.max_length, 1);
  if (options.bidirectional) {
    throw InvalidArgument("bidirectional: a Transformer looks both ways with causal=false");
  }
}

void require_columns(const std::vector<CategoricalColumn>& columns) {
  Index last = -1;
  for (const auto& column : columns) {
    require_at_least("categorical: column", column.column, 0);
    require_at_least("categorical: dimension", column.dimension, 1);
    require_at_least("categorical: min_count", column.min_count, 1);
    if (!(column.max_norm >= 0) || !std::isfinite(column.max_norm)) {
      throw InvalidArgument("categorical: max_norm: expected at least 0, got " +
                            std::to_string(column.max_norm));
    }
    if (column.column <= last) {
      throw InvalidArgument("categorical: expected increasing columns, got " +
                            std::to_string(column.column) + " after " + std::to_string(last));
    }
    last = column.column;
  }
}

}  // namespace

void require_valid(const EncoderOptions& options) {
  require_one_of("cell", options.cell, {"lstm", "gru", "transformer"});
  require_at_least("hidden_size", options.hidden_size, 1);
  require_at_least("n_layers", options.n_layers, 1);
  const int most = options.is_transformer() ? kMostTransformerLayers : kMostRecurrentLayers;
  if (options.n_layers > most) {
    throw InvalidArgument("n_layers: expected 1 to " + std::to_string(most) + ", got " +
                          std::to_string(options.n_layers));
  }
  require_one_of("pooling", options.pooling, {"last", "mean", "max", "attention"});
  if (!(options.dropout >= 0 && options.dropout < 1)) {
    throw InvalidArgument("dropout: expected at least 0 and below 1, got " +
                          std::to_string(options.dropout));
  }
  if (options.is_transformer()) require_transformer(options);
  require_columns(options.categorical);
  require_one_of("selection", options.selection, {"auto", "auc", "ap", "loss"});
  require_one_of("labels_per", options.labels_per, {"sequence", "event"});
}

void require_class_weights(const std::vector<float>& weights, Task task, int n_classes) {
  if (weights.empty()) return;
  if (task == Task::kRegression) {
    throw InvalidArgument("class_weight: expected none for regression");
  }
  if (weights.size() != static_cast<std::size_t>(n_classes)) {
    throw InvalidArgument("class_weight: expected " + std::to_string(n_classes) +
                          " weights, one per class, got " + std::to_string(weights.size()));
  }
  for (std::size_t c = 0; c < weights.size(); ++c) {
    if (!std::isfinite(weights[c]) || weights[c] < 0) {
      throw InvalidArgument("class_weight: expected numbers >= 0, got " +
                            std::to_string(weights[c]) + " for class " + std::to_string(c));
    }
  }
}

}  // namespace ecseq::encoders
