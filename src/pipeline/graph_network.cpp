#include "ecseq/pipeline/graph_network.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "parameter_file.hpp"

namespace ecseq::pipeline {
namespace {

constexpr Index kChunk = 128;

/// The messages of some targets, with the features their sources may show them. With two layers
/// also what each of those sources hears.
class HeardBy {
 public:
  HeardBy(autograd::Tape<float>& tape, const relation::SimilarityRelation& relation,
          const nn::Scaler& scaler, const relation::Attachments& attachments)
      : tape_(tape), relation_(relation), scaler_(scaler), attachments_(attachments) {}

  gnn::Messages<float> attached(std::span<const Index> rows) {
    Index edges = 0;
    for (const Index t : rows) edges += attachments_.end(t) - attachments_.begin(t);
    gnn::Messages<float> out = empty(static_cast<Index>(rows.size()), edges);
    Index edge = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Index t = rows[i];
      for (Index e = attachments_.begin(t); e < attachments_.end(t); ++e, ++edge) {
        const auto from = static_cast<std::size_t>(e);
        write(out, edge, attachments_.source[from], t, attachments_.weight[from]);
      }
      offsets_[i + 1] = edge;
    }
    return out;
  }

  gnn::Messages<float> among(std::span<const Index> rows) {
    const relation::Attachments& related = relation_.among();
    Index sources = 0, edges = 0;
    for (const Index t : rows) {
      for (Index e = attachments_.begin(t); e < attachments_.end(t); ++e, ++sources) {
        const Index j = attachments_.source[static_cast<std::size_t>(e)];
        edges += related.end(j) - related.begin(j);
      }
    }
    gnn::Messages<float> out = empty(sources, edges);
    Index source = 0, edge = 0;
    for (const Index t : rows) {
      for (Index e = attachments_.begin(t); e < attachments_.end(t); ++e) {
        const Index j = attachments_.source[static_cast<std::size_t>(e)];
        for (Index r = related.begin(j); r < related.end(j); ++r, ++edge) {
          const auto from = static_cast<std::size_t>(r);
          write(out, edge, related.source[from], t, related.weight[from]);
        }
        offsets_[++source] = edge;
      }
    }
    return out;
  }

 private:
  gnn::Messages<float> empty(Index targets, Index edges) {
    offsets_ = tape_.scratch_of<Index>(targets + 1);
    offsets_[0] = 0;
    return {{offsets_, static_cast<std::size_t>(targets) + 1},
            tape_.constant(edges, relation_.n_features()),
            tape_.constant(edges, 1)};
  }
  void write(gnn::Messages<float>& out, Index edge, Index source, Index target, float weight) {
    float* row = out.rows.value().data() + edge * relation_.n_features();
    relation_.node(source, attachments_, target, row);
    scaler_.apply(row, row);
    out.weights.value()(edge, 0) = weight;
  }

  autograd::Tape<float>& tape_;
  const relation::SimilarityRelation& relation_;
  const nn::Scaler& scaler_;
  const relation::Attachments& attachments_;
  Index* offsets_ = nullptr;
};

}  // namespace

GraphNetwork::GraphNetwork(const GraphNetworkOptions& options, nn::Scaler dense, nn::Scaler nodes,
                           std::vector<nn::Scaler> memories, Index out, Rng& rng,
                           nn::Parameters<float> parameters)
    : options_(options),
      dense_scaler_(std::move(dense)),
      node_scaler_(std::move(nodes)),
      memory_scalers_(std::move(memories)),
      parameters_(std::move(parameters)) {
  Index width = dense_scaler_.size();
  const Index hidden = options.hidden_size;
  for (std::size_t m = 0; m < options.memories.size(); ++m) {
    memories_.emplace_back(parameters_, "memory" + std::to_string(m), options.memories[m],
                           memory_scalers_[m].size(), kMemorySize, rng);
    width += kMemorySize;
  }
  if (options.on_edges) {
    backbone_.emplace_back(parameters_, "graph", options.backbone, width, node_scaler_.size(),
                           hidden, rng);
  }
  const bool takes_dense =
      options.on_edges && !gnn::Backbone<float>::has_nodes_of_one_kind(options.backbone.kind);
  if (!takes_dense && width > 0) {
    dense_weight_ =
        parameters_.add_uniform("dense.weight", width, hidden, std::sqrt(6.0 / double(width)), rng);
    parameters_.add("dense.bias", 1, hidden);
  }
  head_ = nn::DenseLayers<float>(parameters_, "head.", hidden, options.head, out,
                                 options.backbone.activation, rng);
}

GraphNetwork::Input GraphNetwork::input_of(autograd::Tape<float>& tape,
                                           const relation::SimilarityRelation* relation,
                                           const Matrix<float>& dense, const LayerInputs& inputs,
                                           std::span<const Index> rows) const {
  const auto n = static_cast<Index>(rows.size());
  Input input;
  input.graph.self = tape.constant(n, dense.cols());
  for (Index i = 0; i < n; ++i) {
    input.graph.self.value().row(i) = dense.row(rows[static_cast<std::size_t>(i)]);
  }
  for (std::size_t m = 0; m < memories_.size(); ++m) {
    const RecentRows& recent = inputs.recent[m];
    Index* const offsets = tape.scratch_of<Index>(n + 1);
    offsets[0] = 0;
    for (Index i = 0; i < n; ++i) {
      const auto row = static_cast<std::size_t>(rows[static_cast<std::size_t>(i)]);
      offsets[i + 1] = offsets[i] + recent.offsets[row + 1] - recent.offsets[row];
    }
    auto remembered = tape.constant(offsets[n], recent.rows.cols());
    for (Index i = 0; i < n; ++i) {
      const auto row = static_cast<std::size_t>(rows[static_cast<std::size_t>(i)]);
      for (Index r = 0; r < offsets[i + 1] - offsets[i]; ++r) {
        memory_scalers_[m].apply(recent.rows.row(recent.offsets[row] + r).data(),
                                 remembered.value().row(offsets[i] + r).data());
      }
    }
    input.memories.push_back({remembered, {offsets, static_cast<std::size_t>(n) + 1}});
  }
  if (!options_.on_edges) return input;
  if (inputs.node.rows() > 0) {
    input.graph.node = tape.constant(n, inputs.node.cols());
    for (Index i = 0; i < n; ++i) {
      node_scaler_.apply(inputs.node.row(rows[static_cast<std::size_t>(i)]).data(),
                         input.graph.node.value().row(i).data());
    }
  }
  HeardBy heard(tape, *relation, node_scaler_, inputs.attachments);
  input.graph.attached = heard.attached(rows);
  if (options_.backbone.n_layers == 2) input.graph.among = heard.among(rows);
  return input;
}

autograd::Variable<float> GraphNetwork::graph_layers(const nn::BoundParameters<float>& bound,
                                                     const Input& given, bool training,
                                                     Rng& rng) const {
  gnn::BackboneInput<float> input = given.graph;
  std::vector<autograd::Variable<float>> own{input.self};
  for (std::size_t m = 0; m < memories_.size(); ++m) {
    own.push_back(memories_[m].forward(bound, given.memories[m].rows, given.memories[m].offsets));
  }
  if (own.size() > 1) {
    input.self = autograd::concat_columns(std::span<const autograd::Variable<float>>(own));
  }
  if (training) {
    const double dropout = options_.input_dropout;
    input.self = autograd::dropout(input.self, dropout, rng);
    if (options_.on_edges) {
      if (input.node.rows() > 0) input.node = autograd::dropout(input.node, dropout, rng);
      input.attached.rows = autograd::dropout(input.attached.rows, dropout, rng);
    }
  }
  const auto from_dense = [&] {
    return autograd::linear(input.self, bound[dense_weight_], bound[dense_weight_ + 1]);
  };
  if (!options_.on_edges) return nn::activate(from_dense(), options_.backbone.activation);
  auto z = backbone_.front().forward(bound, input, training ? options_.backbone.dropout : 0.0, rng);
  if (dense_weight_ >= 0) z = autograd::add(z, from_dense());
  return nn::activate(z, options_.backbone.activation);
}

autograd::Variable<float> GraphNetwork::forward(const nn::BoundParameters<float>& bound,
                                                const relation::SimilarityRelation* relation,
                                                const Matrix<float>& dense,
                                                const LayerInputs& inputs,
                                                std::span<const Index> rows, bool training,
                                                Rng& rng) const {
  const double dropout = training ? options_.dropout : 0.0;
  const auto input = input_of(bound.tape(), relation, dense, inputs, rows);
  const auto z = autograd::dropout(graph_layers(bound, input, training, rng), dropout, rng);
  return head_.forward(bound, z, dropout, rng);
}

Attribution GraphNetwork::attribute(const relation::SimilarityRelation* relation,
                                    const LayerInputs& inputs, Index output) const {
  autograd::Tape<float> tape;
  Rng unused(0);
  const Matrix<float> dense = dense_scaler_.apply(inputs.dense);
  const Index first[] = {0};
  Input input = input_of(tape, relation, dense, inputs, first);
  gnn::BackboneInput<float>& graph = input.graph;
  // Leaves in the place of the constants.
  std::vector<Matrix<float>> gradients(4 + input.memories.size());
  const auto watch = [&](autograd::Variable<float>& x, Matrix<float>& gradient) {
    gradient = Matrix<float>::Zero(x.rows(), x.cols());
    x = tape.leaf({x.value().data(), x.rows(), x.cols()}, gradient.data());
  };
  const bool edges = options_.on_edges;
  const bool has_node = graph.node.rows() > 0, two = edges && options_.backbone.n_layers == 2;
  watch(graph.self, gradients[0]);
  if (edges) watch(graph.attached.rows, gradients[1]);
  if (has_node) watch(graph.node, gradients[2]);
  if (two) watch(graph.among.rows, gradients[3]);
  for (std::size_t m = 0; m < input.memories.size(); ++m) {
    watch(input.memories[m].rows, gradients[4 + m]);
  }

  const nn::BoundParameters<float> bound(tape, parameters_);
  const auto y = head_.forward(bound, graph_layers(bound, input, false, unused), 0.0, unused);
  const auto chosen = autograd::slice_columns(y, output, 1);
  tape.backward(chosen);

  Attribution out;
  out.value = out.rest = chosen.value()(0, 0);
  const auto times = [](const autograd::Variable<float>& x, const Matrix<float>& gradient,
                        Index row) { return x.value().row(row).dot(gradient.row(row)); };
  for (Index c = 0; c < dense.cols(); ++c) {
    out.dense.push_back(dense(0, c) * gradients[0](0, c));
    out.rest -= out.dense.back();
  }
  for (Index e = 0; edges && e < graph.attached.rows.rows(); ++e) {
    float sum = times(graph.attached.rows, gradients[1], e);
    if (two) {
      const auto& offsets = graph.among.offsets;
      for (Index a = offsets[static_cast<std::size_t>(e)];
           a < offsets[static_cast<std::size_t>(e) + 1]; ++a) {
        sum += times(graph.among.rows, gradients[3], a);
      }
    }
    out.edges.push_back(sum);
    out.rest -= sum;
  }
  if (has_node) out.node = times(graph.node, gradients[2], 0);
  out.rest -= out.node;
  for (std::size_t m = 0; m < input.memories.size(); ++m) {
    float sum = 0.0f;
    for (Index r = 0; r < input.memories[m].rows.rows(); ++r) {
      sum += times(input.memories[m].rows, gradients[4 + m], r);
    }
    out.memories.push_back(sum);
    out.rest -= sum;
  }
  return out;
}

/// rows(tape, dense, inputs, numbers) -> variable, for chunks of rows.
template <class Rows>
Matrix<float> GraphNetwork::over_chunks(const LayerInputs& inputs, Index columns, int num_threads,
                                        const Rows& rows) const {
  Matrix<float> out(inputs.size(), columns);
  parallel_chunks(inputs.size(), kChunk, num_threads, [&](Index begin, Index end) {
    autograd::Tape<float> tape;
    const LayerInputs part = slice(inputs, begin, end);
    const Matrix<float> dense = dense_scaler_.apply(part.dense);
    std::vector<Index> numbers(static_cast<std::size_t>(end - begin));
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<Index>(i);
    out.middleRows(begin, end - begin) = rows(tape, dense, part, numbers).value();
  });
  return out;
}

Matrix<float> GraphNetwork::predict(const relation::SimilarityRelation* relation,
                                    const LayerInputs& inputs, int num_threads) const {
  const int last = static_cast<int>(parameters_.entries().size()) - 1;
  return over_chunks(inputs, parameters_.entry(last).cols, num_threads,
                     [&](autograd::Tape<float>& tape, const Matrix<float>& dense,
                         const LayerInputs& part, std::span<const Index> numbers) {
                       Rng unused(0);
                       return forward(nn::BoundParameters<float>(tape, parameters_), relation,
                                      dense, part, numbers, false, unused);
                     });
}

Matrix<float> GraphNetwork::hidden_layer(const relation::SimilarityRelation* relation,
                                         const LayerInputs& inputs, int num_threads) const {
  return over_chunks(inputs, options_.hidden_size, num_threads,
                     [&](autograd::Tape<float>& tape, const Matrix<float>& dense,
                         const LayerInputs& part, std::span<const Index> numbers) {
                       Rng unused(0);
                       return graph_layers(nn::BoundParameters<float>(tape, parameters_),
                                           input_of(tape, relation, dense, part, numbers), false,
                                           unused);
                     });
}

void GraphNetwork::save(io::TensorFile& file, const std::string& prefix) const {
  save_scaler(dense_scaler_, file, prefix + "dense.");
  if (options_.on_edges) save_scaler(node_scaler_, file, prefix + "nodes.");
  for (std::size_t m = 0; m < memory_scalers_.size(); ++m) {
    save_scaler(memory_scalers_[m], file, prefix + "memory" + std::to_string(m) + ".");
  }
  save_parameters(parameters_, file, prefix);
}

GraphNetwork GraphNetwork::load(const io::TensorFile& file, const std::string& prefix,
                                const GraphNetworkOptions& options, Index nodes,
                                const std::vector<Index>& memories, Index out) {
  Rng unused(0);
  const auto load = [&](const std::string& name, Index columns) {
    nn::Scaler scaler = load_scaler(file, prefix + name);
    if (scaler.size() != columns) {
      throw FileError("model file: the scaler of '" + prefix + name + "' does not fit its rows");
    }
    return scaler;
  };
  std::vector<nn::Scaler> scalers;
  for (std::size_t m = 0; m < memories.size(); ++m) {
    scalers.push_back(load("memory" + std::to_string(m) + ".", memories[m]));
  }
  GraphNetwork network(options, load_scaler(file, prefix + "dense."),
                       options.on_edges ? load("nodes.", nodes) : nn::Scaler(), std::move(scalers),
                       out, unused, parameters_of(file, prefix));
  load_parameters(network.parameters_, file, prefix);
  return network;
}

GraphNetwork fit_graph_network(const GraphTraining& problem, const GraphNetworkOptions& options,
                               const GraphNetwork* initial, const nn::TrainingOptions& training,
                               nn::TrainingReport& report, const ProgressCallback& progress) {
  const relation::SimilarityRelation* relation = problem.relation;
  const LayerInputs& inputs = *problem.training;
  GraphNetwork network;
  if (initial != nullptr) {
    network = *initial;
  } else {
    const auto scaler = [&](const Matrix<float>& x) {
      const bool fits = options.standardize && x.rows() > 0;
      return fits ? nn::Scaler::fit(x) : nn::Scaler::identity(x.cols());
    };
    const Matrix<float> nodes = options.on_edges ? relation->nodes() : Matrix<float>();
    std::vector<nn::Scaler> memories;
    for (const RecentRows& recent : inputs.recent) memories.push_back(scaler(recent.rows));
    Rng rng(training.seed, 1);
    network = GraphNetwork(options, scaler(inputs.dense), scaler(nodes), std::move(memories),
                           problem.supervision.channels.cols, rng);
  }
  const Matrix<float> dense = network.scaler().apply(inputs.dense);
  const Forward forward = [&](const nn::BoundParameters<float>& bound, std::span<const Index> rows,
                              Rng& rng) {
    return network.forward(bound, relation, dense, inputs, rows, true, rng);
  };
  const Predict predict = [&](const nn::Parameters<float>& parameters) {
    GraphNetwork current = network;
    current.parameters() = parameters;
    return current.predict(relation, *problem.validation, training.num_threads);
  };
  nn::Parameters<float> parameters = network.parameters();
  report = train_supervised(parameters, forward, problem.supervision, predict,
                            *problem.y_validation, training, progress);
  network.parameters() = std::move(parameters);
  return network;
}

}  // namespace ecseq::pipeline
