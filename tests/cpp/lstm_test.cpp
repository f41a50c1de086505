#include "ecseq/nn/lstm.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "gradient_check.hpp"

namespace ecseq {
namespace {

using testing::expect_gradients;
using testing::Input;
using testing::Node;

Matrix<float> uniform(Rng& rng, Index rows, Index cols, double bound) {
  Matrix<float> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) {
    x.data()[i] = static_cast<float>(rng.uniform(-bound, bound));
  }
  return x;
}

Sequences ragged(Rng& rng, const std::vector<Index>& lengths, Index features, double bound = 2.0) {
  std::vector<std::int64_t> offsets{0};
  for (const Index length : lengths) offsets.push_back(offsets.back() + length);
  return Sequences(uniform(rng, offsets.back(), features, bound), offsets);
}

std::vector<Index> all_rows(Index n) {
  std::vector<Index> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), Index{0});
  return rows;
}

template <class Scalar>
struct Weights {
  Matrix<Scalar> input, hidden, bias;
  Weights(Rng& rng, Index inputs, Index units)
      : input(uniform(rng, inputs, 4 * units, bound(units)).cast<Scalar>()),
        hidden(uniform(rng, units, 4 * units, bound(units)).cast<Scalar>()),
        bias(uniform(rng, 1, 4 * units, bound(units)).cast<Scalar>()) {}
  static double bound(Index units) { return 1.0 / std::sqrt(static_cast<double>(units)); }
};

template <class Scalar>
using Aligned = std::vector<Scalar, Eigen::aligned_allocator<Scalar>>;

/// The inference kernel on `rows`; result row i belongs to rows[i].
template <class Scalar>
Matrix<Scalar> infer(const Weights<Scalar>& w, const SequencesView& sequences,
                     const std::vector<Index>& rows, const kernels::Standardisation& s = {}) {
  Aligned<Scalar> packed(
      static_cast<std::size_t>(kernels::packed_lstm_size<Scalar>(w.input.rows(), w.hidden.rows())));
  const auto weights = kernels::pack_lstm<Scalar>(w.input, w.hidden, w.bias.data(), packed.data());
  Aligned<Scalar> scratch(static_cast<std::size_t>(kernels::lstm_scratch_size(weights)));
  std::vector<kernels::EventRun> runs;
  for (const Index row : rows) {
    runs.push_back({sequences.events(row), sequences.length(row), static_cast<Index>(runs.size())});
  }
  std::stable_sort(runs.begin(), runs.end(),
                   [](const auto& a, const auto& b) { return a.length > b.length; });
  Matrix<Scalar> out(static_cast<Index>(rows.size()), w.hidden.rows());
  kernels::lstm_last_state(weights, s, runs.data(), static_cast<Index>(runs.size()), out.data(),
                           out.cols(), scratch.data());
  return out;
}

/// The textbook recurrence, one sequence and one unit at a time.
Matrix<double> reference(const Weights<double>& w, const SequencesView& sequences) {
  const Index units = w.hidden.rows();
  const auto sigmoid = [](double x) { return 1.0 / (1.0 + std::exp(-x)); };
  Matrix<double> out(sequences.size, units);
  for (Index n = 0; n < sequences.size; ++n) {
    RowVector<double> h = RowVector<double>::Zero(units), c = h;
    for (Index t = 0; t < sequences.length(n); ++t) {
      RowVector<double> x(sequences.features());
      for (Index k = 0; k < x.size(); ++k) {
        x[k] = static_cast<double>(sequences.events(n)[t * x.size() + k]);
      }
      const RowVector<double> z = x * w.input + h * w.hidden + w.bias.row(0);
      for (Index j = 0; j < units; ++j) {
        c[j] = sigmoid(z[units + j]) * c[j] + sigmoid(z[j]) * std::tanh(z[2 * units + j]);
        h[j] = sigmoid(z[3 * units + j]) * std::tanh(c[j]);
      }
    }
    out.row(n) = h;
  }
  return out;
}

const std::vector<Index> kLengths{3, 9, 1, 5, 9, 2, 6};

TEST(Lstm, KernelFollowsTheRecurrenceAtAnySize) {
  for (const Index units : {1, 3, 7, 8, 16, 17, 33, 64, 100}) {
    for (const Index inputs : {1, 2, 5, 33}) {
      Rng rng(static_cast<std::uint64_t>(100 * units + inputs));
      const Sequences sequences = ragged(rng, kLengths, inputs);
      Weights<float> w(rng, inputs, units);
      Weights<double> w64(rng, inputs, units);
      w64.input = w.input.cast<double>();
      w64.hidden = w.hidden.cast<double>();
      w64.bias = w.bias.cast<double>();
      const Matrix<double> expected = reference(w64, sequences);
      const auto rows = all_rows(sequences.size());
      EXPECT_LT((infer(w, sequences, rows).cast<double>() - expected).cwiseAbs().maxCoeff(), 4e-6)
          << "H " << units << ", D " << inputs;
      EXPECT_LT((infer(w64, sequences, rows) - expected).cwiseAbs().maxCoeff(), 1e-13)
          << "H " << units << ", D " << inputs;
    }
  }
}

TEST(Lstm, AResultDoesNotDependOnTheBatchToTheLastBit) {
  for (const Index units : {7, 32, 64}) {
    Rng rng(static_cast<std::uint64_t>(units));
    std::vector<Index> lengths;
    for (Index i = 0; i < 60; ++i) lengths.push_back(1 + (i * 5) % 11);
    const Sequences sequences = ragged(rng, lengths, 5);
    const Weights<float> w(rng, 5, units);
    Matrix<float> alone(60, units);
    for (Index i = 0; i < 60; ++i) alone.row(i) = infer(w, sequences, {i}).row(0);
    for (Index size = 2; size <= 60; size = size < 13 ? size + 1 : size + 47) {
      for (Index first = 0; first + size <= 60; first += size) {
        std::vector<Index> rows;
        for (Index i = 0; i < size; ++i) rows.push_back(first + (i * 7) % size);
        const Matrix<float> together = infer(w, sequences, rows);
        for (Index i = 0; i < size; ++i) {
          ASSERT_EQ(together.row(i), alone.row(rows[static_cast<std::size_t>(i)]))
              << "H " << units << ", batch of " << size << ", sequence "
              << rows[static_cast<std::size_t>(i)];
        }
      }
    }
    const Matrix<float> all = infer(w, sequences, all_rows(60));
    EXPECT_EQ(all, alone);
  }
}

TEST(Lstm, TrainingForwardGivesTheBitsOfInference) {
  for (const Index units : {7, 32}) {
    Rng rng(3);
    const Sequences sequences = ragged(rng, kLengths, 5);
    const Weights<float> w(rng, 5, units);
    autograd::Tape<float> tape;
    const std::vector<Index> rows{4, 0, 6, 2};
    const auto y =
        nn::lstm_last_state<float>(sequences, rows, nullptr, nullptr, tape.constant(w.input),
                                   tape.constant(w.hidden), tape.constant(w.bias));
    EXPECT_EQ(Matrix<float>(y.value()), infer(w, sequences, rows));
  }
}

TEST(Lstm, GradientOnRaggedSequences) {
  for (const Index units : {1, 3, 9}) {
    Rng rng(static_cast<std::uint64_t>(units));
    const Sequences sequences = ragged(rng, {4, 1, 3, 4, 2, 1, 5}, 2);
    const std::vector<Index> rows{6, 2, 0, 1, 3, 5};
    const Weights<double> w(rng, 2, units);
    expect_gradients({w.input, w.hidden, w.bias}, [&](autograd::Tape<double>&,
                                                      const std::vector<Node>& in) {
      return nn::lstm_last_state<double>(sequences, rows, nullptr, nullptr, in[0], in[1], in[2]);
    });
  }
}

TEST(Lstm, GradientWithStandardisedInput) {
  Rng rng(5);
  const Sequences sequences = ragged(rng, {2, 4, 1}, 3, 10.0);
  const Weights<double> w(rng, 3, 4);
  const std::vector<float> mean{1.0F, -2.0F, 0.5F}, scale{0.2F, 0.3F, 0.1F};
  expect_gradients({w.input, w.hidden, w.bias},
                   [&](autograd::Tape<double>&, const std::vector<Node>& in) {
                     return nn::lstm_last_state<double>(sequences, all_rows(3), mean.data(),
                                                        scale.data(), in[0], in[1], in[2]);
                   });
}

TEST(Lstm, StandardisationKeepsTimestampsApart) {
  // Unix seconds around 2024 with an hour between two sequences that are otherwise equal.
  Matrix<float> values(4, 1);
  values << 1.7e9F, 1.7e9F + 3600.0F, 1.7e9F + 86400.0F, 1.7e9F + 90112.0F;
  const Sequences raw(values, {0, 1, 2, 3, 4});
  const std::vector<float> mean{1.7e9F + 43200.0F}, scale{1.0F / 40000.0F};
  Matrix<float> scaled(4, 1);
  for (Index i = 0; i < 4; ++i) scaled(i, 0) = (values(i, 0) - mean[0]) * scale[0];
  const Sequences standard(scaled, {0, 1, 2, 3, 4});
  Rng rng(8);
  const Weights<float> w(rng, 1, 7);
  const auto rows = all_rows(4);
  const Matrix<float> got = infer(w, raw, rows, {mean.data(), scale.data()});
  EXPECT_EQ(got, infer(w, standard, rows));
  EXPECT_GT((got.row(0) - got.row(1)).cwiseAbs().maxCoeff(), 1e-3F);
}

TEST(Lstm, OverlappingWindowsShareTheirEvents) {
  Rng rng(9);
  const Sequences history = ragged(rng, {12, 5}, 3);
  const Sequences windows = history.windows(4);
  const Weights<float> w(rng, 3, 7);
  const Matrix<float> got = infer(w, windows, all_rows(windows.size()));
  Sequences copied = windows.subset(all_rows(windows.size()));
  EXPECT_EQ(got, infer(w, copied, all_rows(copied.size())));
  EXPECT_EQ(got.rows(), 17);
}

TEST(Lstm, NaNInOneSequenceTouchesNoOther) {
  Rng rng(10);
  const Sequences clean = ragged(rng, kLengths, 5);
  Matrix<float> values = clean.view().values.eigen();
  values(0, 2) = std::nanf("");  // first event of sequence 0
  const SequencesView broken{values, clean.view().starts, clean.view().stops, clean.size()};
  const Weights<float> w(rng, 5, 32);
  const auto rows = all_rows(clean.size());
  const Matrix<float> expected = infer(w, clean, rows), got = infer(w, broken, rows);
  EXPECT_TRUE(got.row(0).array().isNaN().all());
  EXPECT_EQ(got.bottomRows(6), expected.bottomRows(6));
}

TEST(Lstm, WrongShapesAreRefusedByName) {
  Rng rng(1);
  const Sequences sequences = ragged(rng, {2, 3}, 4);
  const Weights<float> w(rng, 5, 7);
  autograd::Tape<float> tape;
  try {
    nn::lstm_last_state<float>(sequences, all_rows(2), nullptr, nullptr, tape.constant(w.input),
                               tape.constant(w.hidden), tape.constant(w.bias));
    FAIL() << "accepted";
  } catch (const InvalidArgument& error) {
    EXPECT_STREQ(error.what(), "weight_input: expected shape [4, 28], got [5, 28]");
  }
}

std::map<std::string, std::vector<double>> read_golden() {
  const auto tests = std::filesystem::path(__FILE__).parent_path().parent_path();
  std::ifstream file(tests / "parity/golden/lstm.txt");
  std::map<std::string, std::vector<double>> out;
  std::string name;
  std::size_t count = 0;
  while (file >> name >> count) {
    auto& values = out[name];
    values.resize(count);
    for (double& value : values) file >> value;
  }
  return out;
}

class LstmParity : public ::testing::TestWithParam<std::tuple<int, int>> {};

TEST_P(LstmParity, StatesAndGradientsAreTorchs) {
  const auto [inputs, units] = GetParam();
  const auto golden = read_golden();
  Rng rng(static_cast<std::uint64_t>(1000 * inputs + units));
  const Sequences sequences = ragged(rng, kLengths, inputs);
  Weights<float> w(rng, inputs, units);
  w.bias += uniform(rng, 1, 4 * units, 1.0 / std::sqrt(static_cast<double>(units)));
  const auto n = static_cast<Index>(kLengths.size());
  const Matrix<float> coefficients = uniform(rng, n, units, 1.0);
  const Matrix<float> columns = uniform(rng, 4 * units, 1, 1.0);
  const Matrix<float> rows_input = uniform(rng, 1, inputs, 1.0);
  const Matrix<float> rows_hidden = uniform(rng, 1, units, 1.0);

  struct Objective final : autograd::Operation<float> {
    autograd::Variable<float> state;
    const Matrix<float>& factor;
    Objective(autograd::Variable<float> s, const Matrix<float>& f) : state(s), factor(f) {}
    void forward(autograd::Values<float> y) override {
      y(0, 0) = state.value().cwiseProduct(factor).sum();
    }
    void backward(autograd::ConstValues<float>, autograd::ConstValues<float> dy) override {
      state.gradient() += dy(0, 0) * factor;
    }
  };
  Matrix<float> d_input = Matrix<float>::Zero(inputs, 4 * units), d_bias(1, 4 * units),
                d_hidden = Matrix<float>::Zero(units, 4 * units);
  d_bias.setZero();
  autograd::Tape<float> tape;
  const auto state = nn::lstm_last_state<float>(
      sequences, all_rows(n), nullptr, nullptr, tape.leaf(w.input, d_input.data()),
      tape.leaf(w.hidden, d_hidden.data()), tape.leaf(w.bias, d_bias.data()));
  tape.backward(tape.apply<Objective>(1, 1, true, state, coefficients));

  const auto expect_close = [&, inputs = inputs, units = units](const char* what,
                                                                const Matrix<float>& got) {
    const std::string name = std::to_string(inputs) + "x" + std::to_string(units) + "." + what;
    ASSERT_EQ(golden.count(name), 1U) << name << " is not in the golden file";
    const auto& expected = golden.at(name);
    ASSERT_EQ(static_cast<Index>(expected.size()), got.size()) << name;
    double scale = 1.0;
    for (const double value : expected) scale = std::max(scale, std::abs(value));
    for (Index i = 0; i < got.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(got.data()[i]), expected[static_cast<std::size_t>(i)],
                  1e-5 * scale)
          << name << ", element " << i;
    }
  };
  expect_close("state", Matrix<float>(state.value()));
  expect_close("state", infer(w, sequences, all_rows(n)));
  expect_close("bias", d_bias);
  expect_close("input_rows", d_input * columns);
  expect_close("input_columns", rows_input * d_input);
  expect_close("hidden_rows", d_hidden * columns);
  expect_close("hidden_columns", rows_hidden * d_hidden);
}

INSTANTIATE_TEST_SUITE_P(Sizes, LstmParity,
                         ::testing::Combine(::testing::Values(1, 5, 33),
                                            ::testing::Values(7, 32, 64)));

}  // namespace
}  // namespace ecseq
