// Writes the models that fuzzing begins with and that the hostile file tests alter: one of each
// kind of part, as small as they come. They are kept, so that a run needs no fit; make them anew
// where the format changes: ecseq_make_fuzz_models tests/fuzz/models

#include <cmath>
#include <iostream>
#include <limits>
#include <string>

#include "ecseq/pipeline/forecaster.hpp"
#include "ecseq/pipeline/model.hpp"
#include "ecseq/relation/entity_key.hpp"

namespace ecseq::pipeline {
namespace {

constexpr Index kTraining = 160, kValidation = 40, kColumns = 3;
constexpr double kDay = 86400.0;

/// Embeddings, short histories, entities and times of the same rows, of which each says a little.
struct Rows {
  Matrix<float> embedding;
  Sequences sequences;
  std::vector<relation::EntityKey> card, products;
  std::vector<Index> baskets{0};
  std::vector<double> times;
  Targets y;

  Rows(Index n, std::uint64_t seed, Task task) : embedding(n, kColumns) {
    Rng rng(seed);
    y.task = task;
    y.n_classes = task == Task::kBinary ? 2 : task == Task::kMulticlass ? 3 : 0;
    std::vector<float> events;
    std::vector<double> event_times;
    std::vector<std::int64_t> offsets{0};
    for (Index i = 0; i < n; ++i) {
      for (Index c = 0; c < kColumns; ++c) embedding(i, c) = static_cast<float>(rng.normal());
      const Index id = rng.below(5);
      card.push_back(relation::entity_key(id));
      for (Index p = 0; p < i % 3; ++p) products.push_back(relation::entity_key(rng.below(5)));
      baskets.push_back(static_cast<Index>(products.size()));
      times.push_back(1.6e9 + kDay * static_cast<double>(i) / 4.0);
      double last = 0.0;
      const Index length = 1 + rng.below(5);
      for (Index t = 0; t < length; ++t) {
        last = rng.normal();
        events.insert(events.end(), {static_cast<float>(last), static_cast<float>(rng.below(4))});
        event_times.push_back(times.back() + static_cast<double>(t) * 600.0);
      }
      offsets.push_back(offsets.back() + length);
      const double signal = embedding(i, 0) * embedding(i, 1) + last + (id < 2 ? 1.0 : -1.0);
      y.values.push_back(task == Task::kRegression ? static_cast<float>(10.0 + signal)
                         : task == Task::kBinary   ? (signal > 0.0 ? 1.0F : 0.0F)
                         : signal > 1.0            ? 2.0F
                         : signal > -1.0           ? 1.0F
                                                   : 0.0F);
    }
    sequences = Sequences(Eigen::Map<Matrix<float>>(events.data(), offsets.back(), 2), offsets);
    sequences.set_times(std::move(event_times));
  }
};

ModelOptions small_options() {
  ModelOptions options;
  options.similarity->n_representatives = 5;
  options.similarity->n_neighbors = 3;
  options.similarity->n_cases = 1;
  options.hidden_size = 4;
  options.heads = 2;
  options.gate = false;
  options.controls = false;
  options.training.max_epochs = 1;
  options.training.num_threads = 1;
  return options;
}

relation::EntityOptions small_entity(const std::string& by) {
  relation::EntityOptions entity;
  entity.by = by;
  entity.memory = 2;
  entity.windows = {7 * kDay, std::numeric_limits<double>::infinity()};
  entity.label_delay = kDay;
  return entity;
}

Samples samples_of(const Rows& rows, const ModelOptions& options) {
  Samples out;
  out.embedding = rows.embedding;
  for (const auto& entity : options.entities) {
    if (entity.by == "product") {
      out.entities.push_back({"product", rows.products, rows.baskets});
    } else {
      out.entities.push_back({entity.by, rows.card, {}});
    }
    if (entity.timed) out.times = rows.times;
  }
  return out;
}

void save(const Model& model, const std::string& path) {
  model.save(path);
  std::cout << path << ": " << model.to_bytes().size() << " bytes\n";
}

void make(const std::string& path, Task task, const ModelOptions& options) {
  const Rows training(kTraining, 1, task), validation(kValidation, 2, task);
  save(Model::fit(samples_of(training, options), training.y, samples_of(validation, options),
                  validation.y, options),
       path);
}

void make(const std::string& path, const encoders::EncoderOptions& network) {
  const Rows training(kTraining, 1, Task::kBinary), validation(kValidation, 2, Task::kBinary);
  const auto of = [](const Rows& rows) {
    Samples out;
    out.sequences = rows.sequences.view();
    return out;
  };
  save(Model::fit(of(training), training.y, of(validation), validation.y, small_options(),
                  encoders::SequenceEncoder::fit(training.sequences, training.y,
                                                 validation.sequences, validation.y, network)),
       path);
}

encoders::EncoderOptions small_encoder(const std::string& cell) {
  encoders::EncoderOptions out;
  out.cell = cell;
  out.hidden_size = 4;
  out.training.max_epochs = 1;
  out.training.num_threads = 1;
  return out;
}

void make_embedding_models(const std::string& folder) {
  ModelOptions options = small_options();
  options.controls = true;
  options.metadata = R"({"calibration": {"curves": [{"logits": [-1, 1], "shares": [0.2, 0.9]}]}})";
  make(folder + "/sage_mean.ecseq", Task::kBinary, options);

  options = small_options();
  options.gnn = "gat";
  options.n_layers = 2;
  options.similarity->attach = "epsilon";
  options.similarity->epsilon = 0.5;
  options.head = {3};
  make(folder + "/gat.ecseq", Task::kMulticlass, options);

  options = small_options();
  options.gnn = "gcn";
  options.residual = false;
  options.activation = "none";
  options.similarity->attach = "correlation";
  options.similarity->label_spreading = 0.3;
  make(folder + "/gcn.ecseq", Task::kRegression, options);

  options = small_options();
  options.gnn = "attention";
  options.similarity->isolated = "alone";
  options.entities = {small_entity("card")};
  options.entities[0].aggregator = "gru";
  make(folder + "/attention.ecseq", Task::kBinary, options);

  options = small_options();
  options.similarity.reset();
  options.entities = {small_entity("card"), small_entity("product")};
  options.entities[0].aggregator = "gnn";
  options.entities[0].base_outputs = true;
  options.entities[1].set = true;
  options.entities[1].half_lives = {kDay};
  options.entities[1].max_entities = 4;
  make(folder + "/entities.ecseq", Task::kBinary, options);

  options.entities = {small_entity("card")};
  options.entities[0].timed = false;
  make(folder + "/untimed.ecseq", Task::kRegression, options);
}

void make_sequence_models(const std::string& folder) {
  make(folder + "/lstm.ecseq", small_encoder("lstm"));

  encoders::EncoderOptions network = small_encoder("gru");
  network.n_layers = 2;
  network.pooling = "attention";
  network.categorical = {{1, 2, 0.0, 2}};
  network.time_features = true;
  make(folder + "/gru.ecseq", network);
  network.hidden_size = 2;
  network.bidirectional = true;
  network.pooling = "max";
  make(folder + "/bidirectional.ecseq", network);

  network = small_encoder("transformer");
  network.transformer.n_heads = 2;
  network.transformer.feed_forward_size = 4;
  network.transformer.positions = "learned";
  network.transformer.max_length = 8;
  make(folder + "/transformer.ecseq", network);
}

void make_forecaster(const std::string& folder) {
  Rng rng(1);
  Matrix<float> values(80, 4);
  for (Index i = 0; i < values.size(); ++i) values.data()[i] = static_cast<float>(rng.normal());
  ForecasterOptions options;
  options.window = 3;
  options.hidden_size = 2;
  options.head_size = 3;
  options.series_id_size = 1;
  options.gate = false;
  for (auto* training : {&options.encoder_training, &options.head_training}) {
    training->max_epochs = 1;
    training->num_threads = 1;
  }
  const Forecaster model = Forecaster::fit({values, 1, {}}, 60, options);
  model.save(folder + "/forecaster.ecseq");
  std::cout << folder << "/forecaster.ecseq: " << model.to_bytes().size() << " bytes\n";
}

}  // namespace
}  // namespace ecseq::pipeline

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: ecseq_make_fuzz_models folder\n";
    return 2;
  }
  try {
    ecseq::pipeline::make_embedding_models(argv[1]);
    ecseq::pipeline::make_sequence_models(argv[1]);
    ecseq::pipeline::make_forecaster(argv[1]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
