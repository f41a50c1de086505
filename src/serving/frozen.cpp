#include "frozen.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ecseq/core/columns_text.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/io/checksum.hpp"
#include "ecseq/kernels/finite.hpp"
#include "ecseq/relation/entity_set.hpp"

namespace ecseq::serving {
namespace {

constexpr Index kDefaultWindow = 64;
constexpr Index kLongestWindow = 1 << 16;

void require_times(std::span<const double> times, Index length) {
  if (static_cast<Index>(times.size()) != length) {
    throw InvalidArgument("times: expected " + std::to_string(length) +
                          " values, one per event, got " + std::to_string(times.size()));
  }
  for (std::size_t t = 0; t < times.size(); ++t) {
    if (!std::isfinite(times[t]) || (t > 0 && times[t] < times[t - 1])) {
      throw InvalidArgument("times: value " + std::to_string(t) + ", " + std::to_string(times[t]) +
                            ", is not finite or earlier than the one before");
    }
  }
}

DenseChain linear_of(const pipeline::Network& network) {
  const auto& parameters = network.weights().parameters();
  return DenseChain({{parameters.view(parameters.find("output.weight")).eigen(),
                      parameters.view(parameters.find("output.bias")).eigen()}},
                    nn::Activation::kNone);
}

/// Of what the encoder computes, whoever trained it.
std::uint64_t id_of(const encoders::SequenceEncoder& encoder, Index window) {
  io::Checksum sum;
  sum.add_word(static_cast<std::uint64_t>(window));
  const encoders::EncoderOptions& options = encoder.options();
  sum.add(options.cell);
  sum.add(options.pooling);
  sum.add(options.transformer.norm);
  sum.add(options.transformer.activation);
  sum.add(options.transformer.positions);
  for (const auto number :
       {static_cast<Index>(options.n_layers), static_cast<Index>(options.bidirectional),
        static_cast<Index>(options.transformer.n_heads),
        static_cast<Index>(options.transformer.causal)}) {
    sum.add_word(static_cast<std::uint64_t>(number));
  }
  for (const auto& [name, tensor] : encoder.tensors()) {
    sum.add(name);
    sum.add_word(static_cast<std::uint64_t>(tensor.rows()));
    sum.add_word(static_cast<std::uint64_t>(tensor.cols()));
    sum.add(tensor.data(), static_cast<std::size_t>(tensor.size()) * sizeof(float));
  }
  return sum.value();
}

}  // namespace

Scorer::Frozen::Frozen(pipeline::Model fitted, const ScorerOptions& given)
    : model(std::move(fitted)), options(given), file_entities(model.entities()) {
  if (!model.options().own_head) {
    throw InvalidArgument(
        "model: its head is an estimator of the caller's own; a scorer takes models whose head is "
        "'linear', 'mlp' or sizes");
  }
  if (options.window < 0 || options.window > kLongestWindow) {
    throw InvalidArgument("window: expected 0 to " + std::to_string(kLongestWindow) + ", got " +
                          std::to_string(options.window));
  }
  for (const auto& memory : model.entities()) {
    entity_names.push_back(memory.options().by);
    timed_entities = timed_entities || memory.options().timed;
  }
  outputs = model.task() == Task::kMulticlass ? model.n_classes() : 1;
  link = Link(model.task(), outputs, model.options().metadata);
  if (const pipeline::Network* network = model.base_network()) {
    base_scaler = network->scaler();
    base = linear_of(*network);
  }
  if (model.gate().stacked) layer.emplace(model);
  if (!model.encoder()) return;
  encoder.emplace(*model.encoder());
  const auto size = encoder->state_size();
  window = options.window > 0 ? options.window : size ? 0 : kDefaultWindow;
  if (encoder->max_length()) window = std::min(window, *encoder->max_length());
  state_numbers = window > 0 ? window * encoder->features() : *size;
  state_times = window > 0 && encoder->reads_times() ? window : 0;
  encoder_id = id_of(*model.encoder(), window);
}

void Scorer::Frozen::base_outputs(const float* x, float* out, Arena& memory) const {
  if (!base) {
    encoder->decide(x, out, memory);
    return;
  }
  float* const scaled = memory.take<float>(base_scaler.size());
  base_scaler.apply(x, scaled);
  base->apply(scaled, out, memory);
  if (model.task() != Task::kRegression) return;
  for (Index c = 0; c < outputs; ++c) {
    out[c] = static_cast<float>(out[c] * model.target_std() + model.target_mean());
  }
}

void Scorer::Frozen::require_events(const Request& request) const {
  const MatrixView<float>& events = request.events;
  if (events.cols != model.input_features()) {
    throw InvalidArgument("events: expected " + columns_text(model.input_features()) + ", got " +
                          std::to_string(events.cols));
  }
  if (encoder ? events.rows < 1 : events.rows != 1) {
    throw InvalidArgument(encoder ? "events: a sequence has at least one event"
                                  : "events: expected one row, the embedding, got " +
                                        std::to_string(events.rows));
  }
  if (!kernels::all_finite(events.data, events.rows * events.cols)) {
    require_finite(events, "events");
  }
  if (reads_event_times()) require_times(request.times, events.rows);
  const auto longest = encoder ? encoder->max_length() : std::nullopt;
  if (longest && events.rows > *longest) {
    throw InvalidArgument("events: the network reads at most " + std::to_string(*longest) +
                          " events, got " + std::to_string(events.rows));
  }
}

void Scorer::Frozen::require_entities(double time, EntityKeys entities) const {
  if (entities.size() != entity_names.size()) {
    throw InvalidArgument("entities: expected the keys of " + std::to_string(entity_names.size()) +
                          " relations, got " + std::to_string(entities.size()));
  }
  for (std::size_t e = 0; e < entities.size(); ++e) {
    if (entities[e].size() > 1 && !model.entities()[e].options().set) {
      throw InvalidArgument("entities['" + entity_names[e] +
                            "']: expected one key, the relation is by one entity each, got " +
                            std::to_string(entities[e].size()));
    }
  }
  if (timed_entities && !std::isfinite(time)) {
    throw InvalidArgument("time: expected a finite number of seconds, got " + std::to_string(time));
  }
}

void Scorer::Frozen::relate(const Target& target, const float* of_base, const EntityReader& from,
                            float* out, Workspace& workspace) const {
  Arena& memory = workspace.memory;
  const auto& memories = model.entities();
  TargetInputs inputs;
  inputs.embedding = target.x;
  if (target.neighbours != nullptr) {
    inputs.neighbours = *target.neighbours;
  } else if (model.similarity()) {
    inputs.neighbours = model.similarity()->attach(target.x, memory);
  }
  inputs.own = memory.take<float>(layer->own_size());
  // Graph layers over nodes of one kind see the embedding as a node, and not here.
  const Index residual = model.options().residual ? outputs : 0;
  const Index h = model.input_blocks().front().size - residual;
  std::copy_n(target.x, h, inputs.own);
  std::copy_n(of_base, residual, inputs.own + h);
  workspace.remembered.clear();
  auto* const remembered = memory.take<TargetInputs::Remembered>(Index(memories.size()));
  std::size_t learned = 0;
  for (std::size_t e = 0; e < memories.size(); ++e) {
    const auto keys = target.entities[e];
    from.facts(e, keys, target.time, inputs.own + layer->entity_begin(e), memory);
    if (memories[e].options().aggregator == "summary") continue;
    remembered[learned++].count = from.recent(e, key_of(keys), target.time, workspace.remembered);
  }
  // Only now: while rows were added the list may have moved.
  const float* rows = workspace.remembered.data();
  learned = 0;
  for (const auto& held : memories) {
    if (held.options().aggregator == "summary") continue;
    remembered[learned].rows = rows;
    rows += remembered[learned++].count * held.n_recent_columns();
  }
  inputs.remembered = {remembered, learned};
  float* const head = memory.take<float>(outputs);
  layer->apply(inputs, head, memory);
  const pipeline::Gate& gate = model.gate();
  for (Index c = 0; c < outputs; ++c) {
    double value = head[c];
    if (model.task() == Task::kRegression) {
      value = value * model.target_std() + model.target_mean();
    }
    out[c] = gate.stack(of_base[c], value);
  }
}

Score Scorer::Frozen::finish(const Target& target, const EntityReader* live,
                             Workspace& workspace) const {
  Arena& memory = workspace.memory;
  const EntityReader& from = live != nullptr ? *live : file_entities;
  if (layer)
    from.prefetch(target.entities);  // they are on their way while representatives are found
  float* const of_base = memory.take<float>(outputs);
  float* const logits = memory.take<float>(outputs);
  float* const values = memory.take<float>(outputs);
  base_outputs(target.x, of_base, memory);
  if (layer) {
    relate(target, of_base, from, logits, workspace);
  } else {
    std::copy_n(of_base, outputs, logits);
  }
  link.apply(logits, values);
  const auto n = static_cast<std::size_t>(outputs);
  return {{values, n},
          {logits, n},
          {of_base, n},
          {target.x, static_cast<std::size_t>(embedding_size())}};
}

}  // namespace ecseq::serving
