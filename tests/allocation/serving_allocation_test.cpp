// A score takes nothing from the heap once its workspace has seen one of its size.

#include <gtest/gtest.h>

#include "counting_allocator.hpp"
#include "ecseq/serving/scorer.hpp"
#include "relational_problem.hpp"

namespace ecseq::serving {
namespace {

using pipeline::Model;

/// Sequences of four events of two numbers; the entities and times of `problem`.
struct Histories {
  Sequences sequences;
  explicit Histories(const pipeline::Problem& problem) {
    const Index n = problem.x.rows();
    std::vector<std::int64_t> offsets{0};
    for (Index i = 0; i < n; ++i) offsets.push_back(offsets.back() + 4);
    Matrix<float> values(4 * n, 2);
    for (Index i = 0; i < values.size(); ++i)
      values.data()[i] = problem.x.data()[i % problem.x.size()];
    sequences = Sequences(std::move(values), offsets);
  }
};

template <class Work>
long allocations_of(const Work& work) {
  for (int i = 0; i < 3; ++i) work();
  const long before = allocations;
  for (int i = 0; i < 10; ++i) work();
  return allocations - before;
}

class ServingAllocation : public testing::TestWithParam<std::string> {};

TEST_P(ServingAllocation, NothingIsTakenForAScore) {
  const auto training = pipeline::make_problem(300, 1), validation = pipeline::make_problem(100, 2);
  const Histories histories(training), later(validation);
  encoders::EncoderOptions encoder;
  encoder.cell = GetParam() == "transformer" ? "transformer" : "lstm";
  encoder.hidden_size = 8;
  encoder.n_layers = 2;
  encoder.pooling = GetParam() == "gat" ? "attention" : "last";
  encoder.training.max_epochs = 1;
  pipeline::ModelOptions options = pipeline::small_options();
  options.similarity->n_representatives = 15;
  options.training.max_epochs = 1;
  options.gate = false;
  options.entities = {pipeline::terminal_options()};
  if (GetParam() == "gat" || GetParam() == "attention") options.gnn = GetParam();
  if (GetParam() == "gru") options.entities[0].aggregator = "gru";
  if (GetParam() == "sets") options.entities[0].set = true;
  if (GetParam() == "epsilon") options.similarity->attach = "epsilon";
  auto samples = training.samples(true, true), validating = validation.samples(true, true);
  samples.embedding = {};
  validating.embedding = {};
  samples.sequences = histories.sequences.view();
  validating.sequences = later.sequences.view();
  const Scorer scorer(
      Model::fit(samples, training.y, validating, validation.y, options,
                 encoders::SequenceEncoder::fit(histories.sequences, training.y, later.sequences,
                                                validation.y, encoder)));

  const relation::EntityKey key = training.keys.front();
  const std::span<const relation::EntityKey> keys[] = {{&key, 1}};
  const SequencesView all = later.sequences;
  const Request request{{all.events(0), 4, 2}, {}, 1e7, keys};
  Workspace workspace;
  EXPECT_EQ(allocations_of([&] { scorer.score(request, workspace); }), 0);
  EXPECT_EQ(allocations_of([&] { scorer.score(request); }), 0) << "workspace of the thread";
  State state = scorer.start();
  const Event event{{all.events(0), 2}, 1e7, keys};
  EXPECT_EQ(allocations_of([&] { scorer.update(state.block(), event, workspace); }), 0);
}

INSTANTIATE_TEST_SUITE_P(Kinds, ServingAllocation,
                         testing::Values("sage_mean", "gat", "attention", "gru", "sets", "epsilon",
                                         "transformer"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace ecseq::serving
