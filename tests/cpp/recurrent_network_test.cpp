#include "ecseq/nn/recurrent_network.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "golden_file.hpp"
#include "gradient_case.hpp"

namespace ecseq {
namespace {

using kernels::GruCell;
using kernels::LstmCell;
using nn::StatesOf;
using testing::expect_gradients;
using testing::GoldenFile;
using testing::Input;
using testing::Node;

Matrix<float> uniform(Rng& rng, Index rows, Index cols, double bound) {
  Matrix<float> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) {
    x.data()[i] = static_cast<float>(rng.uniform(-bound, bound));
  }
  return x;
}

const std::vector<Index> kLengths{3, 9, 1, 5, 9, 2, 6};

Sequences ragged(Rng& rng, Index features) {
  std::vector<std::int64_t> offsets{0};
  for (const Index length : kLengths) offsets.push_back(offsets.back() + length);
  return Sequences(uniform(rng, offsets.back(), features, 2.0), offsets);
}

std::vector<Index> all_rows() {
  std::vector<Index> rows(kLengths.size());
  std::iota(rows.begin(), rows.end(), Index{0});
  return rows;
}

/// sum x * factor
struct Objective final : autograd::Operation<float> {
  autograd::Variable<float> x;
  const Matrix<float>& factor;
  Objective(autograd::Variable<float> given, const Matrix<float>& f) : x(given), factor(f) {}
  void forward(autograd::Values<float> y) override {
    y(0, 0) = x.value().cwiseProduct(factor).sum();
  }
  void backward(autograd::ConstValues<float>, autograd::ConstValues<float> dy) override {
    x.gradient() += dy(0, 0) * factor;
  }
};

template <class Cell>
void expect_network_gradients(int layers, bool bidirectional, StatesOf states_of) {
  const Index units = 2, features = 2, width = bidirectional ? 2 * units : units;
  Rng rng(static_cast<std::uint64_t>(layers));
  const Sequences sequences = ragged(rng, features);
  const std::vector<Index> rows{2, 0, 5, 3};
  const std::vector<float> mean{0.3F, -0.2F}, scale{0.7F, 1.1F};
  std::vector<Input> inputs;
  for (int c = 0; c < layers * (bidirectional ? 2 : 1); ++c) {
    const Index in = c < (bidirectional ? 2 : 1) ? features : width;
    inputs.push_back(uniform(rng, in, Cell::kGates * units, 0.6).template cast<double>());
    inputs.push_back(uniform(rng, units, Cell::kGates * units, 0.6).template cast<double>());
    inputs.push_back(uniform(rng, 1, 4 * units, 0.6).template cast<double>());
  }
  expect_gradients(inputs, [&](autograd::Tape<double>& tape, const std::vector<Node>& in) {
    std::vector<nn::CellVariables<double>> cells;
    for (std::size_t i = 0; i < in.size(); i += 3) cells.push_back({in[i], in[i + 1], in[i + 2]});
    Rng drops(7);  // the same elements each time
    return nn::recurrent_network<double, Cell>(nn::recurrent_batch(tape, sequences, rows),
                                               {{mean.data(), scale.data()}}, cells,
                                               {bidirectional, 0.25}, states_of, drops);
  });
}

}  // namespace

ECSEQ_GRADIENT_CASE(nn::RecurrentLayer) {
  for (const StatesOf states_of : {StatesOf::kLastStep, StatesOf::kEveryStep}) {
    for (const bool bidirectional : {false, true}) {
      for (const int layers : {1, 2, 3}) {
        expect_network_gradients<LstmCell>(layers, bidirectional, states_of);
        expect_network_gradients<GruCell>(layers, bidirectional, states_of);
      }
    }
  }
}

namespace {

template <class Cell>
void expect_kernel_equals_operation(Index units, Index width) {
  Rng rng(4);
  const Sequences sequences = ragged(rng, width);
  const Matrix<float> input = uniform(rng, width, Cell::kGates * units, 0.4),
                      hidden = uniform(rng, units, Cell::kGates * units, 0.4),
                      bias = uniform(rng, 1, 4 * units, 0.4);
  const Matrix<float> below = sequences.view().values.eigen();
  autograd::Tape<float> tape;
  const auto batch = nn::recurrent_batch(tape, sequences.view(), all_rows());
  const auto states = tape.constant(below);
  const nn::CellVariables<float> cell{tape.constant(input), tape.constant(hidden),
                                      tape.constant(bias)};
  std::vector<float, Eigen::aligned_allocator<float>> packed(
      static_cast<std::size_t>(kernels::packed_recurrent_size<float, Cell::kGates>(width, units)));
  const auto weights =
      kernels::pack_recurrent<float, Cell::kGates>(input, hidden, bias.data(), packed.data());
  std::vector<float, Eigen::aligned_allocator<float>> scratch(
      static_cast<std::size_t>(kernels::recurrent_scratch_size<Cell, float>(weights)));
  for (const bool backward : {false, true}) {
    const auto order = backward ? nn::TimeOrder::kBackward : nn::TimeOrder::kForward;
    // Events and states below hold the same numbers here.
    for (const auto* source : {static_cast<const autograd::Variable<float>*>(nullptr), &states}) {
      const auto every =
          nn::recurrent_layer<float, Cell>(batch, {{}, source}, order, StatesOf::kEveryStep, cell);
      const auto last =
          nn::recurrent_layer<float, Cell>(batch, {{}, source}, order, StatesOf::kLastStep, cell);
      Matrix<float> got(batch.events, units), got_last(batch.runs.size(), units);
      const kernels::LayerSource<float> from{{}, source == nullptr ? nullptr : below.data()};
      kernels::recurrent_layer<Cell, true>(weights, from, backward, batch.runs.data(),
                                           static_cast<Index>(batch.runs.size()), got.data(), units,
                                           scratch.data());
      kernels::recurrent_layer<Cell, false>(weights, from, backward, batch.runs.data(),
                                            static_cast<Index>(batch.runs.size()), got_last.data(),
                                            units, scratch.data());
      EXPECT_EQ(got, Matrix<float>(every.value()));
      EXPECT_EQ(got_last, Matrix<float>(last.value()));
      for (const auto& run : batch.runs) {
        const Index row = run.first + (backward ? 0 : run.length - 1);
        EXPECT_EQ(got_last.row(run.result), got.row(row));
      }
    }
  }
}

TEST(RecurrentNetwork, InferenceGivesTheBitsOfTraining) {
  for (const Index units : {7, 32}) {
    for (const Index width : {1, 14}) {
      expect_kernel_equals_operation<LstmCell>(units, width);
      expect_kernel_equals_operation<GruCell>(units, width);
    }
  }
}

TEST(RecurrentNetwork, DropoutActsBetweenLayersOnly) {
  Rng rng(5);
  const Sequences sequences = ragged(rng, 2);
  const Matrix<float> input = uniform(rng, 2, 9, 0.5), hidden = uniform(rng, 3, 9, 0.5),
                      bias = uniform(rng, 1, 12, 0.5), upper = uniform(rng, 3, 9, 0.5);
  const auto run = [&](double dropout, int layers) -> Matrix<float> {
    autograd::Tape<float> tape;
    Rng drops(1);
    std::vector<nn::CellVariables<float>> cells{
        {tape.constant(input), tape.constant(hidden), tape.constant(bias)}};
    if (layers == 2) {
      cells.push_back({tape.constant(upper), tape.constant(hidden), tape.constant(bias)});
    }
    return nn::recurrent_network<float, GruCell>(
               nn::recurrent_batch(tape, sequences.view(), all_rows()), {}, cells, {false, dropout},
               StatesOf::kLastStep, drops)
        .value();
  };
  EXPECT_EQ(run(0.5, 1), run(0.0, 1));
  EXPECT_NE(run(0.5, 2), run(0.0, 2));
}

TEST(RecurrentNetwork, ShapesThatDoNotFitAreRefusedByName) {
  Rng rng(1);
  const Sequences sequences = ragged(rng, 2);
  const Matrix<float> input = uniform(rng, 4, 9, 0.5), hidden = uniform(rng, 3, 9, 0.5),
                      bias = uniform(rng, 1, 12, 0.5), states = uniform(rng, 5, 4, 0.5);
  autograd::Tape<float> tape;
  const auto below = tape.constant(states);
  try {
    nn::recurrent_layer<float, GruCell>(
        nn::recurrent_batch(tape, sequences.view(), all_rows()), {{}, &below},
        nn::TimeOrder::kForward, StatesOf::kLastStep,
        {tape.constant(input), tape.constant(hidden), tape.constant(bias)});
    FAIL() << "accepted";
  } catch (const InvalidArgument& error) {
    EXPECT_STREQ(error.what(), "states: expected shape [35, 4], got [5, 4]");
  }
}

/// Four random combinations of all elements.
Matrix<float> combined(Rng& rng, const Matrix<float>& x) {
  const Matrix<float> rows = uniform(rng, 4, x.rows(), 1.0);
  return rows * (x * uniform(rng, x.cols(), 1, 1.0));
}

template <class Cell>
void expect_parity(const GoldenFile& golden, int layers, int directions, Index inputs,
                   Index units) {
  constexpr Index kGates = Cell::kGates;
  Rng rng(static_cast<std::uint64_t>(1000000 * (2 * layers + directions) + 1000 * inputs + units));
  const double bound = 1.0 / std::sqrt(static_cast<double>(units));
  const Sequences sequences = ragged(rng, inputs);
  struct Parameters {
    Matrix<float> values[3], gradients[3];
  };
  std::vector<Parameters> parameters(static_cast<std::size_t>(layers * directions));
  for (std::size_t c = 0; c < parameters.size(); ++c) {
    auto& p = parameters[c];
    const Index in = c < static_cast<std::size_t>(directions) ? inputs : units * directions;
    p.values[0] = uniform(rng, in, kGates * units, bound);
    p.values[1] = uniform(rng, units, kGates * units, bound);
    const Matrix<float> of_input = uniform(rng, 1, kGates * units, bound);
    const Matrix<float> of_hidden = uniform(rng, 1, kGates * units, bound);
    Matrix<float>& bias = p.values[2] = Matrix<float>(1, 4 * units);
    bias.leftCols(kGates * units) = of_input;
    if (kGates == 4) {
      bias += of_hidden;
    } else {
      bias.leftCols(2 * units) += of_hidden.leftCols(2 * units);
      bias.rightCols(units) = of_hidden.rightCols(units);
    }
    for (int i = 0; i < 3; ++i) {
      p.gradients[i] = Matrix<float>::Zero(p.values[i].rows(), p.values[i].cols());
    }
  }
  const Index width = units * directions, events = 35;
  const Matrix<float> of_last = uniform(rng, 7, width, 1.0);
  const Matrix<float> of_every = uniform(rng, events, width, 1.0);

  const std::string prefix = std::to_string(layers) + "x" + std::to_string(directions) + "." +
                             std::to_string(inputs) + "x" + std::to_string(units) + ".";
  for (const StatesOf states_of : {StatesOf::kLastStep, StatesOf::kEveryStep}) {
    autograd::Tape<float> tape;
    std::vector<nn::CellVariables<float>> cells;
    for (auto& p : parameters) {
      const auto leaf = [&](int i) { return tape.leaf(p.values[i], p.gradients[i].data()); };
      cells.push_back({leaf(0), leaf(1), leaf(2)});
    }
    const bool last = states_of == StatesOf::kLastStep;
    Rng unused(0);
    const auto states =
        nn::recurrent_network<float, Cell>(nn::recurrent_batch(tape, sequences.view(), all_rows()),
                                           {}, cells, {directions == 2, 0.0}, states_of, unused);
    tape.backward(tape.apply<Objective>(1, 1, true, states, last ? of_last : of_every));
    golden.expect(prefix + (last ? "last" : "every"), combined(rng, states.value()));
  }
  for (int layer = 0; layer < layers; ++layer) {
    for (int direction = 0; direction < directions; ++direction) {
      const auto& p = parameters[static_cast<std::size_t>(layer * directions + direction)];
      const std::string name =
          prefix + "l" + std::to_string(layer) + (direction == 1 ? "_reverse." : ".");
      golden.expect(name + "input", combined(rng, p.gradients[0]));
      golden.expect(name + "hidden", combined(rng, p.gradients[1]));
      golden.expect(name + "bias", combined(rng, p.gradients[2].transpose()));
    }
  }
}

TEST(RecurrentNetwork, StatesAndGradientsAreTorchs) {
  const GoldenFile lstm("lstm_stack.txt"), gru("gru_stack.txt");
  for (const auto& [layers, directions] :
       {std::pair<int, int>{1, 2}, {2, 1}, {2, 2}, {3, 1}, {3, 2}}) {
    for (const Index inputs : {1, 5, 33}) {
      for (const Index units : {7, 32, 64, 100}) {
        expect_parity<LstmCell>(lstm, layers, directions, inputs, units);
        expect_parity<GruCell>(gru, layers, directions, inputs, units);
      }
    }
  }
}

}  // namespace
}  // namespace ecseq
