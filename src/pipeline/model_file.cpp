#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "config_json.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/io/safetensors.hpp"
#include "encoder_json.hpp"
#include "entity_inputs.hpp"
#include "model_state.hpp"
#include "parameter_file.hpp"

namespace ecseq::pipeline {
namespace {

using nlohmann::json;

/// Format 1 was of no release: one kind of layer, and entities of which other facts were known.
constexpr int kFormatVersion = 2;
constexpr const char* kFormat = "ecseq-model";
constexpr Index kVerificationEvents = 64;
/// Another instruction set rounds differently; a wrong weight differs by far more.
constexpr float kTolerance = 2e-3f;

/// Calls visit(name, member) for what a file says of the relation layer's options.
template <class Options, class Visit>
void visit_layer(Options& options, const Visit& visit) {
  visit("gnn", options.gnn);
  visit("n_layers", options.n_layers);
  visit("heads", options.heads);
  visit("activation", options.activation);
  visit("embedding", options.embedding);
  visit("residual", options.residual);
  visit("hidden_size", options.hidden_size);
  visit("head", options.head);
  visit("loss", options.loss);
  visit("mode", options.mode);
  visit("aux_weight", options.aux_weight);
  visit("dropout", options.dropout);
  visit("input_dropout", options.input_dropout);
  visit("attention_dropout", options.attention_dropout);
  visit("class_weight", options.class_weight);
  visit("standardize", options.standardize);
  visit("selection", options.selection);
  visit("own_head", options.own_head);
  visit("gate", options.gate);
}

template <class Options, class Visit>
void visit_similarity(Options& options, const Visit& visit) {
  visit("compressor", options.compressor);
  visit("n_representatives", options.n_representatives);
  visit("group_counts", options.group_counts);
  visit("standardize", options.standardize);
  visit("attach", options.attach);
  visit("n_neighbors", options.n_neighbors);
  visit("epsilon", options.epsilon);
  visit("min_correlation", options.min_correlation);
  visit("isolated", options.isolated);
  visit("label_mix", options.label_mix);
  visit("mass", options.mass);
  visit("prior_strength", options.prior_strength);
  visit("label_spreading", options.label_spreading);
  visit("edges_among", options.edges_among);
  visit("iterations", options.iterations);
  visit("max_points_per_centroid", options.max_points_per_centroid);
  visit("n_cases", options.n_cases);
}

std::string entity_prefix(std::size_t e) { return "entity." + std::to_string(e) + "."; }

json to_json(const ModelState& state) {
  json config;
  config["task"] = static_cast<int>(state.task);
  config["n_classes"] = state.n_classes;
  config["target_mean"] = state.target_mean;
  config["target_std"] = state.target_std;
  config["input_features"] = state.input_features;
  visit_layer(state.options, config_writer(config["layer"]));
  if (state.similarity) {
    visit_similarity(state.similarity->options(), config_writer(config["similarity"]));
  }
  config["n_entities"] = state.entities.size();
  if (state.encoder) {
    config["encoder"] = encoders::architecture_to_json(state.encoder->options());
  }
  json blocks = json::array();
  for (const auto& block : state.blocks) {
    blocks.push_back({{"name", block.name}, {"begin", block.begin}, {"size", block.size}});
  }
  config["blocks"] = blocks;
  config["gate"] = {{"stacked", state.gate.stacked},
                    {"base_weight", state.gate.base_weight},
                    {"head_weight", state.gate.head_weight},
                    {"bias", state.gate.bias}};
  json controls = json::array();
  for (const auto& [name, network] : state.controls) controls.push_back(name);
  config["controls"] = controls;
  return config;
}

const std::string& metadata(const io::TensorFile& file, const std::string& name,
                            const std::string& origin) {
  return metadata_of(file, name, origin, "model");
}

void save_verification(io::TensorFile& file, const VerificationCases& cases) {
  file.floats["verify.events"] = cases.events;
  file.integers["verify.stops"] = cases.stops;
  file.doubles["verify.times"] = cases.times;
  file.floats["verify.embedding"] = cases.embedding;
  file.floats["verify.inputs"] = cases.inputs.dense;
  const auto& attachments = cases.inputs.attachments;
  if (attachments.size() > 0) {
    file.integers["verify.edges"] = {attachments.offsets.begin(), attachments.offsets.end()};
    file.integers["verify.sources"] = attachments.source;
    file.doubles["verify.weights"] = {attachments.weight.begin(), attachments.weight.end()};
  }
  if (cases.inputs.node.rows() > 0) file.floats["verify.nodes"] = cases.inputs.node;
  for (std::size_t m = 0; m < cases.inputs.recent.size(); ++m) {
    const auto& recent = cases.inputs.recent[m];
    const std::string name = "verify.recent" + std::to_string(m);
    file.integers[name] = {recent.offsets.begin(), recent.offsets.end()};
    if (recent.rows.rows() > 0) file.floats[name + ".rows"] = recent.rows;
  }
  file.floats["verify.base"] = cases.base;
  file.floats["verify.outputs"] = cases.outputs;
}

/// Throws FileError where the edges do not fit `n` targets and `sources` representatives.
relation::Attachments load_edges(const io::TensorFile& file, Index n, Index sources,
                                 const std::string& origin) {
  relation::Attachments out;
  const auto edges = file.integers.find("verify.edges");
  if (edges == file.integers.end()) return out;
  const auto source = file.integers.find("verify.sources");
  const auto weight = file.doubles.find("verify.weights");
  bool fits = source != file.integers.end() && weight != file.doubles.end() &&
              edges->second.size() == static_cast<std::size_t>(n) + 1 &&
              source->second.size() == weight->second.size() && edges->second.front() == 0 &&
              edges->second.back() == static_cast<std::int64_t>(source->second.size()) &&
              std::is_sorted(edges->second.begin(), edges->second.end());
  fits = fits &&
         std::all_of(source->second.begin(), source->second.end(),
                     [&](std::int64_t j) { return j >= 0 && j < sources; }) &&
         std::all_of(weight->second.begin(), weight->second.end(),
                     [](double value) { return std::isfinite(value); });
  if (!fits) throw FileError(origin + ": the verification cases' edges do not fit together");
  out.offsets.assign(edges->second.begin(), edges->second.end());
  out.source = source->second;
  out.weight.assign(weight->second.begin(), weight->second.end());
  return out;
}

/// Throws FileError where remembered rows do not fit `n` targets.
RecentRows load_recent(const io::TensorFile& file, const std::string& name, Index n, Index columns,
                       const std::string& origin) {
  RecentRows out;
  out.rows.resize(0, columns);
  const auto offsets = file.integers.find(name);
  const auto rows = file.floats.find(name + ".rows");
  if (rows != file.floats.end()) out.rows = rows->second.eigen();
  if (offsets != file.integers.end()) {
    out.offsets.assign(offsets->second.begin(), offsets->second.end());
  }
  const bool fits = out.offsets.size() == static_cast<std::size_t>(n) + 1 &&
                    out.offsets.front() == 0 && out.offsets.back() == out.rows.rows() &&
                    out.rows.cols() == columns && out.rows.allFinite() &&
                    std::is_sorted(out.offsets.begin(), out.offsets.end());
  if (!fits) throw FileError(origin + ": tensor '" + name + "' does not fit the others");
  return out;
}

VerificationCases load_verification(const io::TensorFile& file, Index representatives,
                                    const std::vector<Index>& memories, const std::string& origin) {
  const auto get = [&](const std::string& name) {
    const auto tensor = tensor_of(file, name, origin).eigen();
    if (!tensor.allFinite()) throw FileError(origin + ": tensor '" + name + "' is not finite");
    return tensor;
  };
  VerificationCases cases;
  cases.events = get("verify.events");
  const auto stops = file.integers.find("verify.stops");
  if (stops != file.integers.end()) cases.stops = stops->second;
  const auto times = file.doubles.find("verify.times");
  if (times != file.doubles.end()) cases.times = times->second;
  cases.embedding = get("verify.embedding");
  cases.inputs.dense = get("verify.inputs");
  cases.inputs.attachments = load_edges(file, cases.inputs.size(), representatives, origin);
  if (file.floats.count("verify.nodes") > 0) cases.inputs.node = get("verify.nodes");
  for (std::size_t m = 0; m < memories.size(); ++m) {
    cases.inputs.recent.push_back(load_recent(file, "verify.recent" + std::to_string(m),
                                              cases.inputs.size(), memories[m], origin));
  }
  cases.base = get("verify.base");
  cases.outputs = get("verify.outputs");
  return cases;
}

bool close(const Matrix<float>& a, const Matrix<float>& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return false;
  for (Index i = 0; i < a.size(); ++i) {
    const float difference = std::abs(a.data()[i] - b.data()[i]);
    if (!(difference <= kTolerance * (1.0f + std::abs(b.data()[i])))) return false;
  }
  return true;
}

Sequences verification_sequences(const VerificationCases& cases) {
  std::vector<std::int64_t> offsets{0};
  offsets.insert(offsets.end(), cases.stops.begin(), cases.stops.end());
  Sequences sequences(cases.events, offsets);
  if (!cases.times.empty()) sequences.set_times(cases.times);
  return sequences;
}

/// Columns of the rows of each memory that a layer aggregates.
std::vector<Index> memory_columns(const ModelState& state) {
  std::vector<Index> out;
  for (const auto& memory : state.entities) {
    if (memory.options().aggregator != "summary") out.push_back(memory.n_recent_columns());
  }
  return out;
}

/// A hostile file must not ask for a layer that cannot be built.
void require_layer(const ModelOptions& options, const std::string& origin) {
  const bool kind = options.gnn == "sage_mean" || options.gnn == "sage_max" ||
                    options.gnn == "gcn" || options.gnn == "gat" || options.gnn == "attention";
  const bool has_heads = options.gnn == "gat" || options.gnn == "attention";
  const auto size = [](Index value) { return value >= 1 && value <= (Index{1} << 20); };
  const bool fits = kind && (options.n_layers == 1 || options.n_layers == 2) &&
                    size(options.hidden_size) && size(options.heads) &&
                    (!has_heads || options.hidden_size % options.heads == 0) &&
                    std::all_of(options.head.begin(), options.head.end(), size);
  if (!fits) throw FileError(origin + ": the relation layer's options do not fit together");
}

/// What was read part by part must be of one model: what one part writes, the next one reads.
void require_one_model(const ModelState& state, const std::string& origin) {
  const auto expect = [&](bool holds, const char* what) {
    if (!holds) throw FileError(origin + ": the model's " + what + " does not fit its other parts");
  };
  const ModelOptions& options = state.options;
  const Index outputs = state.n_outputs();
  const Index h = state.encoder ? state.encoder->embedding_size() : state.input_features;
  const auto fits = [&](const Network& network) {
    return network.scaler().size() == h && network.weights().out() == outputs;
  };
  expect(outputs >= 1 && h >= 1 && state.target_std > 0.0, "target");
  expect(!state.encoder || state.encoder->input_features() == state.input_features, "encoder");
  expect(!state.has_encoder_head() || state.encoder->n_outputs() == outputs, "encoder");
  expect(!state.base || (fits(*state.base) && state.base->weights().hidden().empty()), "base");
  for (const auto& [name, control] : state.controls) expect(fits(control), "control");

  const Index own = state.self_block().size - (options.residual ? outputs : 0);
  expect(own == 0 || own == h, "self block");
  if (state.similarity) {
    const auto& similarity = *state.similarity;
    expect(similarity.scaler().size() == h && similarity.n_channels() == outputs, "similarity");
    expect(!state.averages() || state.similarity_block().size == similarity.n_features(),
           "similarity block");
    expect(
        options.n_layers == 1 || similarity.among().size() == similarity.representatives().size(),
        "edges among representatives");
  }
  for (std::size_t e = 0; e < state.entities.size(); ++e) {
    const auto& memory = state.entities[e];
    expect(memory.task() == state.task && memory.n_channels() == outputs, "entity relation");
    expect(state.entity_block(e).size == entity_width(memory), "entity block");
  }
  expect(!options.own_head || !state.layer.averaged() ||
             state.layer.network().weights().out() == outputs,
         "relation layer");
}

ModelState read_state(const io::TensorFile& file, const std::string& origin) {
  require_format(file, kFormat, kFormatVersion, origin, "model");
  const json config = json::parse(metadata(file, "config", origin));
  ModelState state;
  const auto read = config_reader(config);
  int task = 0;
  read("task", task);
  state.task = static_cast<Task>(task);
  if (state.task != Task::kBinary && state.task != Task::kMulticlass &&
      state.task != Task::kRegression) {
    throw FileError(origin + ": unknown task");
  }
  read("n_classes", state.n_classes);
  read("target_mean", state.target_mean);
  read("target_std", state.target_std);
  read("input_features", state.input_features);
  ModelOptions& options = state.options;
  visit_layer(options, lenient_config_reader(config.at("layer")));
  options.metadata = metadata(file, "user", origin);
  state.report = metadata(file, "report", origin);

  if (config.contains("encoder")) {
    const auto encoder = encoders::architecture_from_json(config["encoder"]);
    encoders::NamedTensors::Map tensors;
    const std::string prefix = "encoder.";
    for (const auto& [name, tensor] : file.floats) {
      if (name.rfind(prefix, 0) == 0) tensors[name.substr(prefix.size())] = tensor;
    }
    state.encoder =
        encoders::SequenceEncoder::from_tensors(tensors, encoder, state.task, state.n_classes);
  }
  if (!state.has_encoder_head()) state.base = Network::load(file, "base.");
  options.similarity.reset();
  if (config.contains("similarity")) {
    visit_similarity(options.similarity.emplace(), lenient_config_reader(config["similarity"]));
    state.similarity =
        relation::SimilarityRelation::load(file, "similarity.", state.task, *options.similarity);
  }
  std::size_t n_entities = 0;
  read("n_entities", n_entities);
  for (std::size_t e = 0; e < n_entities; ++e) {
    state.entities.push_back(relation::EntityMemory::load(file, entity_prefix(e)));
    options.entities.push_back(state.entities.back().options());
  }
  Index width = 0;
  for (const auto& block : config.at("blocks")) {
    auto& read_block = state.blocks.emplace_back();
    const auto read_of_block = config_reader(block);
    read_of_block("name", read_block.name);
    read_of_block("begin", read_block.begin);
    read_of_block("size", read_block.size);
    if (state.blocks.back().begin != width || state.blocks.back().size < 0) {
      throw FileError(origin + ": the relation layer's blocks do not fit together");
    }
    width += state.blocks.back().size;
  }
  require_layer(options, origin);
  if (options.own_head)
    state.layer = RelationLayer::load(file, "layer.", layer_options(state),
                                      state.similarity ? state.similarity->n_features() : 0,
                                      memory_columns(state), state.n_outputs());
  const bool averaged_block = state.similarity && state.averages();
  const std::size_t n_blocks = 1 + (averaged_block ? 1 : 0) + n_entities;
  if (state.blocks.size() != n_blocks || (options.own_head && state.layer.in() != width)) {
    throw FileError(origin + ": the relation layer's blocks do not fit together");
  }
  const json& gate = config.at("gate");
  state.gate = {gate.at("stacked").get<bool>(), gate.at("base_weight").get<double>(),
                gate.at("head_weight").get<double>(), gate.at("bias").get<double>()};
  for (const auto& name : config.at("controls")) {
    state.controls[name.get<std::string>()] =
        Network::load(file, "control." + name.get<std::string>() + ".");
  }
  options.controls = !state.controls.empty();
  require_one_model(state, origin);
  state.verification =
      load_verification(file, state.similarity ? state.similarity->representatives().size() : 0,
                        memory_columns(state), origin);
  return state;
}

}  // namespace

VerificationCases make_verification(const ModelState& state, const Samples& samples,
                                    MatrixView<float> embedding, LayerInputs inputs,
                                    const Matrix<float>& base) {
  VerificationCases cases;
  cases.inputs = std::move(inputs);
  cases.base = base;
  cases.outputs = state.options.own_head ? finish(state, cases.inputs, base, 1) : base;
  cases.embedding = embedding.eigen();
  if (!state.encoder) return cases;
  // The last events of each sequence, so that long histories do not swell the file.
  const SequencesView& sequences = *samples.sequences;
  Index events = 0;
  for (Index i = 0; i < embedding.rows; ++i) {
    events += std::min(kVerificationEvents, sequences.length(i));
    cases.stops.push_back(events);
  }
  cases.events.resize(events, sequences.features());
  Index row = 0;
  for (Index i = 0; i < embedding.rows; ++i) {
    const Index length = std::min(kVerificationEvents, sequences.length(i));
    cases.events.middleRows(row, length) =
        sequences.values.eigen().middleRows(sequences.stops[i] - length, length);
    if (sequences.times != nullptr) {
      cases.times.insert(cases.times.end(), sequences.times + sequences.stops[i] - length,
                         sequences.times + sequences.stops[i]);
    }
    row += length;
  }
  cases.embedding = state.encoder->encode(verification_sequences(cases), 1);
  return cases;
}

void replay_verification(const ModelState& state, const std::string& origin) {
  const VerificationCases& cases = state.verification;
  const Index n = cases.inputs.size();
  const auto& last = state.blocks.back();
  const bool one_kind = gnn::Backbone<float>::has_nodes_of_one_kind(state.options.gnn);
  const bool on_edges = state.similarity && !state.averages();
  const bool fits =
      n > 0 && cases.inputs.dense.cols() == last.begin + last.size && cases.base.rows() == n &&
      cases.base.cols() == state.n_outputs() && cases.embedding.rows() == n &&
      (state.encoder || cases.embedding.cols() == state.input_features) &&
      cases.inputs.attachments.size() == (on_edges ? n : 0) &&
      cases.inputs.node.rows() == (on_edges && one_kind ? n : 0) &&
      (!(on_edges && one_kind) || cases.inputs.node.cols() == state.similarity->n_features());
  if (!fits || (state.options.own_head &&
                !close(finish(state, cases.inputs, cases.base, 1), cases.outputs))) {
    throw FileError(origin + ": the model does not reproduce its own verification cases");
  }
  if (!state.encoder) return;
  const auto encodes = [&] {
    if (cases.events.cols() != state.input_features || cases.stops.empty()) return false;
    const Sequences sequences = verification_sequences(cases);
    // Attention costs the square of the length, and never were more of them written.
    for (Index i = 0; i < sequences.size(); ++i) {
      if (sequences.view().length(i) > kVerificationEvents) return false;
    }
    return close(state.encoder->encode(sequences, 1), cases.embedding);
  };
  if (!encodes()) {
    throw FileError(origin + ": the encoder does not reproduce its own verification cases");
  }
}

namespace {

io::TensorFile to_file(const ModelState& state) {
  io::TensorFile file;
  file.metadata["format"] = kFormat;
  file.metadata["format_version"] = std::to_string(kFormatVersion);
  file.metadata["library_version"] = ECSEQ_VERSION;
  file.metadata["config"] = to_json(state).dump();
  file.metadata["report"] = state.report;
  file.metadata["user"] = state.options.metadata;
  if (state.encoder) {
    for (const auto& [name, tensor] : state.encoder->tensors()) {
      file.floats["encoder." + name] = tensor;
    }
  }
  if (state.base) state.base->save(file, "base.");
  if (state.similarity) state.similarity->save(file, "similarity.");
  for (std::size_t e = 0; e < state.entities.size(); ++e) {
    state.entities[e].save(file, entity_prefix(e));
  }
  if (state.options.own_head) state.layer.save(file, "layer.");
  for (const auto& [name, network] : state.controls) network.save(file, "control." + name + ".");
  save_verification(file, state.verification);
  return file;
}

std::unique_ptr<ModelState> from_file(const io::TensorFile& file, const std::string& origin) {
  std::unique_ptr<ModelState> state;
  try {
    state = std::make_unique<ModelState>(read_state(file, origin));
    replay_verification(*state, origin);
  } catch (const FileError&) {
    throw;
  } catch (const std::exception& error) {  // JSON of the wrong shape, numbers out of range
    throw FileError(origin + ": " + error.what());
  }
  return state;
}

}  // namespace

std::string Model::to_bytes() const { return io::to_bytes(to_file(*state_)); }

Model Model::from_bytes(std::string_view bytes, const std::string& origin) {
  return Model(from_file(io::from_bytes(bytes, origin), origin));
}

void Model::save(const std::string& path) const { io::write_file(to_file(*state_), path); }

Model Model::load(const std::string& path, io::FileAccess access) {
  return Model(from_file(io::read_file(path, access), path));
}

}  // namespace ecseq::pipeline
