#include "folded_layer.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ecseq/nn/dense_layers.hpp"

namespace ecseq::serving {
namespace {

Affine affine(const nn::Parameters<float>& parameters, const std::string& name) {
  return {parameters.view(parameters.find(name + ".weight")).eigen(),
          parameters.view(parameters.find(name + ".bias")).eigen()};
}

/// What nn::DenseLayers has added under this prefix.
std::vector<Affine> dense_layers(const nn::Parameters<float>& parameters, const std::string& prefix,
                                 std::size_t hidden) {
  std::vector<Affine> out;
  for (std::size_t l = 0; l < hidden; ++l) {
    out.push_back(affine(parameters, prefix + nn::hidden_layer_name(l)));
  }
  out.push_back(affine(parameters, prefix + "output"));
  return out;
}

Matrix<float> rows_of(const Matrix<float>& weight, const std::vector<Index>& rows) {
  return take_rows(MatrixView<float>(weight), rows);
}

nn::Scaler columns_of(const nn::Scaler& scaler, const std::vector<Index>& columns) {
  nn::Scaler out = nn::Scaler::identity(static_cast<Index>(columns.size()));
  out.bound = scaler.bound;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    out.mean[static_cast<Index>(c)] = scaler.mean[columns[c]];
    out.inverse_std[static_cast<Index>(c)] = scaler.inverse_std[columns[c]];
  }
  return out;
}

std::vector<Index> range(Index begin, Index size) {
  std::vector<Index> out;
  for (Index i = 0; i < size; ++i) out.push_back(begin + i);
  return out;
}

}  // namespace

FoldedLayer::FoldedLayer(const pipeline::Model& model)
    : similarity_(model.similarity()),
      activation_(nn::activation_named(model.options().activation)) {
  const pipeline::RelationLayer& layer = model.layer();
  std::vector<Index> own_columns = find_own_columns(model);
  own_scaler_ = columns_of(layer.scaler(), own_columns);
  if (layer.averaged()) {
    const nn::FeedForward& network = layer.network().weights();
    fold_dense(model, dense_layers(network.parameters(), "", network.hidden().size()),
               layer.scaler(), std::move(own_columns));
    return;
  }
  const pipeline::GraphNetwork& network = layer.graph_network();
  const auto& parameters = network.parameters();
  for (std::size_t m = 0; m < network.options().memories.size(); ++m) {
    memories_.emplace_back(network.options().memories[m], parameters, "memory" + std::to_string(m),
                           network.memory_scalers()[m]);
  }
  if (network.options().on_edges) {
    fold_graph(model, network);
    return;
  }
  std::vector<Affine> layers = dense_layers(parameters, "head.", network.options().head.size());
  layers.insert(layers.begin(), affine(parameters, "dense"));
  fold_dense(model, std::move(layers), layer.scaler(), std::move(own_columns));
}

/// Self and entities, as they stand in the dense inputs; the mean of the representatives is not
/// among them. Notes where each entity relation begins.
std::vector<Index> FoldedLayer::find_own_columns(const pipeline::Model& model) {
  std::vector<Index> own;
  const auto& blocks = model.input_blocks();
  const std::size_t first_entity = blocks.size() - model.entities().size();
  const auto keep = [&](const gnn::InputLayout::Block& block) {
    const auto columns = range(block.begin, block.size);
    own.insert(own.end(), columns.begin(), columns.end());
  };
  keep(blocks.front());
  for (std::size_t b = first_entity; b < blocks.size(); ++b) {
    entity_begin_.push_back(static_cast<Index>(own.size()));
    keep(blocks[b]);
  }
  return own;
}

/// layers: the first of all dense inputs and memories.
void FoldedLayer::fold_dense(const pipeline::Model& model, std::vector<Affine> layers,
                             const nn::Scaler& scaler, std::vector<Index> own_columns) {
  Affine first = layers.front();
  if (activation_ == nn::Activation::kNone) {
    first = composed(layers);
    layers.clear();
  } else {
    layers.erase(layers.begin());
  }
  width_ = first.out();
  std::vector<Index> rows = std::move(own_columns);
  const auto remembered = range(scaler.size(), first.in() - scaler.size());
  rows.insert(rows.end(), remembered.begin(), remembered.end());
  dense_ = kernels::PackedMatrix(rows_of(first.weight, rows), first.bias.data());
  if (!layers.empty()) head_.emplace(layers, activation_);
  if (similarity_ == nullptr) return;

  const auto& block = model.input_blocks()[1];
  const auto columns = range(block.begin, block.size);
  const Matrix<float> weight = rows_of(first.weight, columns);
  mean_scaler_ = columns_of(scaler, columns);
  Matrix<float> nodes = similarity_->nodes();
  bool clips = false;
  for (Index j = 0; j < nodes.rows(); ++j) {
    for (Index c = 0; c < nodes.cols(); ++c) {
      float& x = nodes(j, c);
      x = (x - mean_scaler_.mean[c]) * mean_scaler_.inverse_std[c];
      clips = clips || !(std::abs(x) <= mean_scaler_.bound);
    }
  }
  // A mean of what lies within the bound lies within it too, and then all is linear. A target
  // without neighbours has a mean of zeros, which is no node: then the mean must be taken.
  const bool always_hears =
      similarity_->options().attach == "knn" || similarity_->options().isolated == "nearest";
  if (!clips && always_hears) {
    sources_.emplace(nodes, weight);
  } else {
    const RowVector<float> zeros = RowVector<float>::Zero(width_);
    mean_ = kernels::PackedMatrix(weight, zeros.data());
  }
}

void FoldedLayer::fold_graph(const pipeline::Model& model, const pipeline::GraphNetwork& network) {
  const auto& options = network.options().backbone;
  const auto& parameters = network.parameters();
  nodes_of_one_kind_ = gnn::Backbone<float>::has_nodes_of_one_kind(options.kind);
  node_scaler_ = network.node_scaler();
  const Matrix<float> nodes = node_scaler_.apply(similarity_->nodes());
  const auto head = dense_layers(parameters, "head.", network.options().head.size());
  const bool has_dense = nodes_of_one_kind_ && own_size() + Index(memories_.size()) > 0;
  if (options.kind == "gcn" && options.n_layers == 1 && activation_ == nn::Activation::kNone) {
    // Linear all the way: a representative sends one number per output.
    const Affine rest = composed(head);
    const Affine through = affine(parameters, "graph.1").then(rest);
    first_ = make_gcn_layer(through, nodes);
    width_ = through.out();
    if (has_dense) {
      const Affine own = affine(parameters, "dense").then(rest);
      const RowVector<float> bias = own.bias - rest.bias;  // which the graph layer adds
      dense_ = kernels::PackedMatrix(own.weight, bias.data());
    }
    return;
  }
  first_ = make_graph_layer(options.kind, parameters, "graph.1", nodes);
  width_ = model.options().hidden_size;
  if (options.n_layers == 2) {
    // What a source says in the second layer: it has heard the other sources in the first one.
    const auto among = nodes_of_one_kind_
                           ? nullptr
                           : make_graph_layer(options.kind, parameters, "graph.among", nodes);
    const GraphLayer& layer = among ? *among : *first_;
    const relation::Attachments& edges = similarity_->among();
    Matrix<float> heard(nodes.rows(), width_);
    Arena memory;
    for (Index j = 0; j < nodes.rows(); ++j) {
      const Index begin = edges.begin(j);
      layer.apply(nodes.row(j).data(),
                  {edges.source.data() + begin, edges.weight.data() + begin, edges.end(j) - begin},
                  heard.row(j).data(), memory);
      activate(heard.row(j).data(), width_, activation_);
      memory.reset();
    }
    second_ = make_graph_layer(options.kind, parameters, "graph.2", heard);
  }
  if (has_dense) {
    const Affine own = affine(parameters, "dense");
    dense_ = kernels::PackedMatrix(own.weight, own.bias.data());
  }
  head_.emplace(head, activation_);
}

void FoldedLayer::graph_layers(const TargetInputs& inputs, const float* own, float* z,
                               Arena& memory) const {
  if (nodes_of_one_kind_) {
    float* const node = memory.take<float>(node_scaler_.size());
    similarity_->as_node(inputs.embedding, node);
    node_scaler_.apply(node, node);
    own = node;
  }
  if (!second_) return first_->apply(own, inputs.neighbours, z, memory);
  float* const between = memory.take<float>(width_);
  first_->apply(own, inputs.neighbours, between, memory);
  activate(between, width_, activation_);
  second_->apply(between, inputs.neighbours, z, memory);
}

void FoldedLayer::apply(const TargetInputs& inputs, float* out, Arena& memory) const {
  constexpr Index kMemory = pipeline::GraphNetwork::kMemorySize;
  float* const own =
      memory.take<float>(own_size() + kMemory * static_cast<Index>(memories_.size()));
  own_scaler_.apply(inputs.own, own);
  for (std::size_t m = 0; m < memories_.size(); ++m) {
    memories_[m].apply(inputs.remembered[m].rows, inputs.remembered[m].count,
                       own + own_size() + static_cast<Index>(m) * kMemory, memory);
  }
  float* const z = memory.take<float>(kernels::round_up<float>(width_) + kernels::kLanes<float>);
  if (dense_) {
    float* const y = memory.take<float>(dense_->padded());
    kernels::project_row(*dense_, own, y);
    std::copy_n(y, kernels::round_up<float>(width_), z);
  }
  const auto& heard = inputs.neighbours;
  if (sources_) {
    sources_->add(heard, z);
  } else if (mean_) {
    const Index f = mean_->in();
    float* const mean = memory.take<float>(f);
    float* const node = memory.take<float>(f);
    std::fill_n(mean, f, 0.0F);
    for (Index e = 0; e < heard.size; ++e) {
      similarity_->node(heard.representative[e], node);
      for (Index c = 0; c < f; ++c) mean[c] += heard.weight[e] * node[c];
    }
    mean_scaler_.apply(mean, mean);
    float* const y = memory.take<float>(mean_->padded());
    kernels::project_row(*mean_, mean, y);
    for (Index j = 0; j < width_; ++j) z[j] += y[j];
  } else if (first_) {
    float* const y = memory.take<float>(width_);
    graph_layers(inputs, own, y, memory);
    for (Index j = 0; j < width_; ++j) z[j] = dense_ ? z[j] + y[j] : y[j];
  }
  if (!head_) {  // all the way to the outputs
    std::copy_n(z, width_, out);
    return;
  }
  activate(z, width_, activation_);
  head_->apply(z, out, memory);
}

}  // namespace ecseq::serving
