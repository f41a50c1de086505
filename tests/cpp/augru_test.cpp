#include "ecseq/nn/augru.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "ecseq/nn/gru.hpp"
#include "golden_file.hpp"
#include "gradient_check.hpp"

namespace ecseq {
namespace {

using kernels::AugruCell;
using kernels::GruCell;
using nn::StatesOf;
using testing::expect_gradients;
using testing::GoldenFile;
using testing::Input;
using testing::Node;

const std::vector<Index> kLengths{3, 9, 1, 5, 9, 2, 6};
constexpr Index kEvents = 35;

Matrix<float> uniform(Rng& rng, Index rows, Index cols, double bound) {
  Matrix<float> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) {
    x.data()[i] = static_cast<float>(rng.uniform(-bound, bound));
  }
  return x;
}

std::vector<Index> all_rows() {
  std::vector<Index> rows(kLengths.size());
  std::iota(rows.begin(), rows.end(), Index{0});
  return rows;
}

/// Weights, events and scores; the values follow tests/parity/augru_torch.py.
struct Problem {
  Rng rng;
  Sequences sequences;
  Matrix<float> x, attention, input, hidden, bias;

  Problem(Index inputs, Index units) : rng(static_cast<std::uint64_t>(1000 * inputs + units)) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(units));
    x = uniform(rng, kEvents, inputs, 2.0);
    attention = uniform(rng, kEvents, 1, 0.5).array() + 0.5F;
    input = uniform(rng, inputs, 3 * units, bound);
    hidden = uniform(rng, units, 3 * units, bound);
    bias = uniform(rng, 1, 3 * units, bound);
    const Matrix<float> of_hidden = uniform(rng, 1, 3 * units, bound);
    bias.conservativeResize(1, 4 * units);
    bias.leftCols(2 * units) += of_hidden.leftCols(2 * units);
    bias.rightCols(units) = of_hidden.rightCols(units);
    std::vector<std::int64_t> offsets{0};
    for (const Index length : kLengths) offsets.push_back(offsets.back() + length);
    sequences = Sequences(x, offsets);
  }

  nn::CellVariables<float> cell(autograd::Tape<float>& tape) const {
    return {tape.constant(input), tape.constant(hidden), tape.constant(bias)};
  }
  Matrix<float> states(const std::vector<Index>& rows, StatesOf states_of) const {
    autograd::Tape<float> tape;
    const auto batch = nn::recurrent_batch(tape, sequences.view(), rows);
    const auto below = tape.constant(batch.events, x.cols());
    const auto scores = tape.constant(batch.events, 1);
    Index event = 0;
    for (const Index row : rows) {
      const Index first = sequences.view().events(row) - sequences.view().events(0);
      for (Index t = 0; t < sequences.view().length(row); ++t, ++event) {
        below.value().row(event) = x.row(first / x.cols() + t);
        scores.value().row(event) = attention.row(first / x.cols() + t);
      }
    }
    return nn::augru(batch, below, scores, states_of, cell(tape)).value();
  }
};

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

TEST(Augru, GradientsOfEveryInput) {
  for (const StatesOf states_of : {StatesOf::kLastStep, StatesOf::kEveryStep}) {
    for (const auto& [inputs, units] : {std::pair<Index, Index>{2, 3}, {8, 2}, {1, 9}}) {
      const Problem p(inputs, units);
      const std::vector<Index> rows{2, 0, 5, 3};
      const Index events = 1 + 3 + 2 + 5;
      // A score beyond [0, 1] is as good as any.
      Matrix<double> scores = p.attention.topRows(events).cast<double>();
      scores(0, 0) = -0.5;
      scores(1, 0) = 1.5;
      const std::vector<Input> leaves{p.x.topRows(events).cast<double>(), scores,
                                      p.input.cast<double>(), p.hidden.cast<double>(),
                                      p.bias.cast<double>()};
      expect_gradients(leaves, [&](autograd::Tape<double>& tape, const std::vector<Node>& in) {
        return nn::augru<double>(nn::recurrent_batch(tape, p.sequences.view(), rows), in[0], in[1],
                                 states_of, {in[2], in[3], in[4]});
      });
    }
  }
}

TEST(Augru, WithFullAttentionItIsAGruToTheBit) {
  for (const auto& [inputs, units] : {std::pair<Index, Index>{1, 7}, {16, 32}, {5, 100}}) {
    Problem p(inputs, units);
    p.attention.setOnes();
    const Matrix<float> of_every = uniform(p.rng, kEvents, units, 1.0);
    const auto gradients = [&](bool attentional) {
      std::vector<Matrix<float>> out;
      for (const auto* value : {&p.x, &p.input, &p.hidden, &p.bias}) {
        out.push_back(Matrix<float>::Zero(value->rows(), value->cols()));
      }
      autograd::Tape<float> tape;
      const auto batch = nn::recurrent_batch(tape, p.sequences.view(), all_rows());
      const auto states = tape.leaf(p.x, out[0].data());
      const nn::CellVariables<float> cell{tape.leaf(p.input, out[1].data()),
                                          tape.leaf(p.hidden, out[2].data()),
                                          tape.leaf(p.bias, out[3].data())};
      const auto y =
          attentional
              ? nn::augru(batch, states, tape.constant(p.attention), StatesOf::kEveryStep, cell)
              : nn::recurrent_layer<float, GruCell>(batch, {{}, &states}, nn::TimeOrder::kForward,
                                                    StatesOf::kEveryStep, cell);
      out.emplace_back(y.value());
      tape.backward(tape.apply<Objective>(1, 1, true, y, of_every));
      return out;
    };
    EXPECT_EQ(gradients(true), gradients(false)) << inputs << " x " << units;
  }
}

TEST(Augru, WithoutAttentionTheStateStays) {
  Problem p(5, 7);
  p.attention.setConstant(0.5F);
  const Matrix<float> with = p.states({1}, StatesOf::kEveryStep);
  p.attention(3 + 4, 0) = 0.0F;  // the fifth event of sequence 1
  const Matrix<float> without = p.states({1}, StatesOf::kEveryStep);
  EXPECT_EQ(without.topRows(4), with.topRows(4));
  // Up to the rounding of (before - new) + new.
  EXPECT_LT((without.row(4) - with.row(3)).cwiseAbs().maxCoeff(), 2e-7F);
  EXPECT_GT((with.row(4) - with.row(3)).cwiseAbs().maxCoeff(), 1e-2F);
}

TEST(Augru, AResultDoesNotDependOnTheBatchToTheLastBit) {
  for (const auto& [inputs, units] : {std::pair<Index, Index>{5, 7}, {16, 32}, {33, 64}}) {
    const Problem p(inputs, units);
    const Matrix<float> all = p.states(all_rows(), StatesOf::kLastStep);
    for (const Index row : all_rows()) {
      EXPECT_EQ(all.row(row), p.states({row}, StatesOf::kLastStep).row(0)) << row;
      EXPECT_EQ(all.row(row), p.states({0, row, 1, 4}, StatesOf::kLastStep).row(1)) << row;
    }
  }
}

TEST(Augru, InferenceGivesTheBitsOfTraining) {
  using Aligned = std::vector<float, Eigen::aligned_allocator<float>>;
  for (const auto& [inputs, units] : {std::pair<Index, Index>{5, 7}, {16, 32}, {1, 100}}) {
    const Problem p(inputs, units);
    Aligned packed(
        static_cast<std::size_t>(kernels::packed_recurrent_size<float, 3>(inputs, units)));
    const kernels::AttentionalWeights<float> weights(
        kernels::pack_recurrent<float, 3>(p.input, p.hidden, p.bias.data(), packed.data()));
    Aligned scratch(
        static_cast<std::size_t>(kernels::recurrent_scratch_size<AugruCell, float>(weights)));
    autograd::Tape<float> tape;
    const auto batch = nn::recurrent_batch(tape, p.sequences.view(), all_rows());
    const auto n = static_cast<Index>(batch.runs.size());
    Matrix<float> last(n, units), every(kEvents, units);
    const kernels::LayerSource<float> events{}, states{{}, p.x.data()};
    kernels::augru_layer<false>(weights, events, p.attention.data(), batch.runs.data(), n,
                                last.data(), units, scratch.data());
    kernels::augru_layer<true>(weights, states, p.attention.data(), batch.runs.data(), n,
                               every.data(), units, scratch.data());
    EXPECT_EQ(last, p.states(all_rows(), StatesOf::kLastStep));
    EXPECT_EQ(every, p.states(all_rows(), StatesOf::kEveryStep));
    // Longest first; each alone finds its scores behind those of the sequences before it.
    for (const kernels::EventRun& run : batch.runs) {
      Matrix<float> alone(n, units);
      kernels::augru_layer<false>(weights, events, p.attention.data(), &run, 1, alone.data(), units,
                                  scratch.data());
      EXPECT_EQ(alone.row(run.result), last.row(run.result)) << "sequence " << run.result;
    }
  }
}

TEST(Augru, ScoresThatDoNotFitAreRefusedByName) {
  const Problem p(5, 7);
  autograd::Tape<float> tape;
  const auto batch = nn::recurrent_batch(tape, p.sequences.view(), all_rows());
  const auto states = tape.constant(p.x);
  const Matrix<float> few = p.attention.topRows(4);
  const auto message = [&](const auto& run) -> std::string {
    try {
      run();
    } catch (const InvalidArgument& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message([&] {
              nn::augru(batch, states, tape.constant(few), StatesOf::kLastStep, p.cell(tape));
            }),
            "attention: expected shape [35, 1], got [4, 1]");
  const auto scores = tape.constant(p.attention);
  EXPECT_EQ(message([&] {
              nn::recurrent_layer<float, GruCell>(batch, {{}, &states, &scores},
                                                  nn::TimeOrder::kForward, StatesOf::kLastStep,
                                                  p.cell(tape));
            }),
            "attention: expected scores for an AugruCell and for no other cell");
}

TEST(Augru, StatesAndGradientsAreTorchs) {
  const GoldenFile golden("augru.txt");
  for (const auto& [inputs, units] :
       {std::pair<Index, Index>{1, 7}, {5, 7}, {33, 32}, {1, 64}, {5, 100}}) {
    Problem p(inputs, units);
    const Matrix<float> of_last = uniform(p.rng, 7, units, 1.0);
    const Matrix<float> of_every = uniform(p.rng, kEvents, units, 1.0);
    const Matrix<float> columns = uniform(p.rng, 3 * units, 1, 1.0);
    const std::string prefix = std::to_string(inputs) + "x" + std::to_string(units) + ".";
    std::vector<Matrix<float>> gradients;
    for (const auto* value : {&p.x, &p.attention, &p.input, &p.hidden, &p.bias}) {
      gradients.push_back(Matrix<float>::Zero(value->rows(), value->cols()));
    }
    for (const StatesOf states_of : {StatesOf::kLastStep, StatesOf::kEveryStep}) {
      autograd::Tape<float> tape;
      const auto leaf = [&](const Matrix<float>& value, std::size_t i) {
        return tape.leaf(value, gradients[i].data());
      };
      const auto y = nn::augru(nn::recurrent_batch(tape, p.sequences.view(), all_rows()),
                               leaf(p.x, 0), leaf(p.attention, 1), states_of,
                               {leaf(p.input, 2), leaf(p.hidden, 3), leaf(p.bias, 4)});
      const bool last = states_of == StatesOf::kLastStep;
      tape.backward(tape.apply<Objective>(1, 1, true, y, last ? of_last : of_every));
      golden.expect(prefix + (last ? "last" : "every"), y.value().colwise().sum());
    }
    golden.expect(prefix + "x", gradients[0].rowwise().sum());
    golden.expect(prefix + "attention", gradients[1]);
    golden.expect(prefix + "input", gradients[2] * columns);
    golden.expect(prefix + "hidden", gradients[3] * columns);
    golden.expect(prefix + "bias", gradients[4]);
  }
}

}  // namespace
}  // namespace ecseq
