
// One layer of each recurrent cell, as a kernel and as an operation of the tape.

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "ecseq/nn/gru.hpp"
#include "ecseq/nn/lstm.hpp"
#include "golden_file.hpp"
#include "gradient_check.hpp"

namespace ecseq {
namespace {

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

/// A cell under test: its free functions, and what they should compute. kName: of the golden file.
struct Lstm {
  static constexpr Index kGates = 4;
  static constexpr const char* kName = "lstm";
  template <class Scalar, class... Args>
  static autograd::Variable<Scalar> last_state(const Args&... args) {
    return nn::lstm_last_state<Scalar>(args...);
  }
  template <class Scalar>
  static Index packed_size(Index inputs, Index units) {
    return kernels::packed_lstm_size<Scalar>(inputs, units);
  }
  template <class Scalar, class... Args>
  static auto pack(const Args&... args) {
    return kernels::pack_lstm<Scalar>(args...);
  }
  template <class W>
  static Index scratch_size(const W& weights) {
    return kernels::lstm_scratch_size(weights);
  }
  template <class... Args>
  static void infer(const Args&... args) {
    kernels::lstm_last_state(args...);
  }
  /// The textbook step. h, c: [1, H]
  static void step(const RowVector<double>& of_x, const RowVector<double>& of_h,
                   const RowVector<double>& bias, RowVector<double>& h, RowVector<double>& c) {
    const Index units = h.size();
    const RowVector<double> z = of_x + of_h + bias;
    for (Index j = 0; j < units; ++j) {
      c[j] = sigmoid(z[units + j]) * c[j] + sigmoid(z[j]) * std::tanh(z[2 * units + j]);
      h[j] = sigmoid(z[3 * units + j]) * std::tanh(c[j]);
    }
  }
  static double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
};

struct Gru {
  static constexpr Index kGates = 3;
  static constexpr const char* kName = "gru";
  template <class Scalar, class... Args>
  static autograd::Variable<Scalar> last_state(const Args&... args) {
    return nn::gru_last_state<Scalar>(args...);
  }
  template <class Scalar>
  static Index packed_size(Index inputs, Index units) {
    return kernels::packed_gru_size<Scalar>(inputs, units);
  }
  template <class Scalar, class... Args>
  static auto pack(const Args&... args) {
    return kernels::pack_gru<Scalar>(args...);
  }
  template <class W>
  static Index scratch_size(const W& weights) {
    return kernels::gru_scratch_size(weights);
  }
  template <class... Args>
  static void infer(const Args&... args) {
    kernels::gru_last_state(args...);
  }
  static void step(const RowVector<double>& of_x, const RowVector<double>& of_h,
                   const RowVector<double>& bias, RowVector<double>& h, RowVector<double>&) {
    const Index units = h.size();
    const auto gate = [&](Index k) { return Lstm::sigmoid(of_x[k] + of_h[k] + bias[k]); };
    for (Index j = 0; j < units; ++j) {
      const double r = gate(j), z = gate(units + j);
      const double u = of_h[2 * units + j] + bias[3 * units + j];
      const double g = std::tanh(of_x[2 * units + j] + bias[2 * units + j] + r * u);
      h[j] = (1 - z) * g + z * h[j];
    }
  }
};

template <class Scalar>
struct Weights {
  Matrix<Scalar> input, hidden, bias;
  Weights(Rng& rng, Index gates, Index inputs, Index units, Index biases = 4)
      : input(uniform(rng, inputs, gates * units, bound(units)).template cast<Scalar>()),
        hidden(uniform(rng, units, gates * units, bound(units)).template cast<Scalar>()),
        bias(uniform(rng, 1, biases * units, bound(units)).template cast<Scalar>()) {}
  static double bound(Index units) { return 1.0 / std::sqrt(static_cast<double>(units)); }
};

template <class Scalar>
using Aligned = std::vector<Scalar, Eigen::aligned_allocator<Scalar>>;

/// The inference kernel on `rows`; result row i belongs to rows[i].
template <class Cell, class Scalar>
Matrix<Scalar> infer(const Weights<Scalar>& w, const SequencesView& sequences,
                     const std::vector<Index>& rows, const kernels::Standardisation& s = {}) {
  const MatrixView<Scalar> input = w.input, hidden = w.hidden;
  Aligned<Scalar> packed(
      static_cast<std::size_t>(Cell::template packed_size<Scalar>(input.rows, hidden.rows)));
  const auto weights = Cell::template pack<Scalar>(input, hidden, w.bias.data(), packed.data());
  Aligned<Scalar> scratch(static_cast<std::size_t>(Cell::scratch_size(weights)));
  std::vector<kernels::EventRun> runs;
  for (const Index row : rows) {
    runs.push_back({sequences.events(row), sequences.length(row), static_cast<Index>(runs.size())});
  }
  std::stable_sort(runs.begin(), runs.end(),
                   [](const auto& a, const auto& b) { return a.length > b.length; });
  Matrix<Scalar> out(static_cast<Index>(rows.size()), hidden.rows);
  Cell::infer(weights, s, runs.data(), static_cast<Index>(runs.size()), out.data(), out.cols(),
              scratch.data());
  return out;
}

/// The textbook recurrence, one sequence and one unit at a time.
template <class Cell>
Matrix<double> reference(const Weights<double>& w, const SequencesView& sequences) {
  const Index units = w.hidden.rows();
  Matrix<double> out(sequences.size, units);
  for (Index n = 0; n < sequences.size; ++n) {
    RowVector<double> h = RowVector<double>::Zero(units), c = h;
    for (Index t = 0; t < sequences.length(n); ++t) {
      const RowVector<double> x =
          Eigen::Map<const RowVector<float>>(sequences.events(n) + t * sequences.features(),
                                             sequences.features())
              .cast<double>();
      Cell::step(x * w.input, h * w.hidden, w.bias.row(0), h, c);
    }
    out.row(n) = h;
  }
  return out;
}

template <class Cell>
class RecurrentCell : public ::testing::Test {};
struct CellNames {
  template <class Cell>
  static std::string GetName(int) {
    return Cell::kName;
  }
};
using Cells = ::testing::Types<Lstm, Gru>;
TYPED_TEST_SUITE(RecurrentCell, Cells, CellNames);

const std::vector<Index> kLengths{3, 9, 1, 5, 9, 2, 6};

TYPED_TEST(RecurrentCell, KernelFollowsTheRecurrenceAtAnySize) {
  for (const Index units : {1, 3, 7, 8, 16, 17, 33, 64, 100}) {
    for (const Index inputs : {1, 2, 5, 33}) {
      Rng rng(static_cast<std::uint64_t>(100 * units + inputs));
      const Sequences sequences = ragged(rng, kLengths, inputs);
      Weights<float> w(rng, TypeParam::kGates, inputs, units);
      Weights<double> w64(rng, TypeParam::kGates, inputs, units);
      w64.input = w.input.cast<double>();
      w64.hidden = w.hidden.cast<double>();
      w64.bias = w.bias.cast<double>();
      const Matrix<double> expected = reference<TypeParam>(w64, sequences);
      const auto rows = all_rows(sequences.size());
      const Matrix<float> got = infer<TypeParam>(w, sequences, rows);
      const Matrix<double> got64 = infer<TypeParam>(w64, sequences, rows);
      EXPECT_LT((got.cast<double>() - expected).cwiseAbs().maxCoeff(), 4e-6)
          << "H " << units << ", D " << inputs;
      EXPECT_LT((got64 - expected).cwiseAbs().maxCoeff(), 1e-13)
          << "H " << units << ", D " << inputs;
    }
  }
}

TYPED_TEST(RecurrentCell, AResultDoesNotDependOnTheBatchToTheLastBit) {
  for (const Index units : {7, 32, 64}) {
    Rng rng(static_cast<std::uint64_t>(units));
    std::vector<Index> lengths;
    for (Index i = 0; i < 60; ++i) lengths.push_back(1 + (i * 5) % 11);
    const Sequences sequences = ragged(rng, lengths, 5);
    const Weights<float> w(rng, TypeParam::kGates, 5, units);
    Matrix<float> alone(60, units);
    for (Index i = 0; i < 60; ++i) alone.row(i) = infer<TypeParam>(w, sequences, {i}).row(0);
    for (Index size = 2; size <= 60; size = size < 13 ? size + 1 : size + 47) {
      for (Index first = 0; first + size <= 60; first += size) {
        std::vector<Index> rows;
        for (Index i = 0; i < size; ++i) rows.push_back(first + (i * 7) % size);
        const Matrix<float> together = infer<TypeParam>(w, sequences, rows);
        for (Index i = 0; i < size; ++i) {
          ASSERT_EQ(together.row(i), alone.row(rows[static_cast<std::size_t>(i)]))
              << "H " << units << ", batch of " << size << ", sequence "
              << rows[static_cast<std::size_t>(i)];
        }
      }
    }
    const Matrix<float> all = infer<TypeParam>(w, sequences, all_rows(60));
    EXPECT_EQ(all, alone);
  }
}

TYPED_TEST(RecurrentCell, TrainingForwardGivesTheBitsOfInference) {
  for (const Index units : {7, 32}) {
    Rng rng(3);
    const Sequences sequences = ragged(rng, kLengths, 5);
    const Weights<float> w(rng, TypeParam::kGates, 5, units);
    autograd::Tape<float> tape;
    const std::vector<Index> rows{4, 0, 6, 2};
    const auto y = TypeParam::template last_state<float>(
        sequences.view(), rows, nullptr, nullptr, tape.constant(w.input), tape.constant(w.hidden),
        tape.constant(w.bias));
    EXPECT_EQ(Matrix<float>(y.value()), infer<TypeParam>(w, sequences, rows));
  }
}

TYPED_TEST(RecurrentCell, GradientOnRaggedSequences) {
  for (const Index units : {1, 3, 9}) {
    Rng rng(static_cast<std::uint64_t>(units));
    const Sequences sequences = ragged(rng, {4, 1, 3, 4, 2, 1, 5}, 2);
    const std::vector<Index> rows{6, 2, 0, 1, 3, 5};
    const Weights<double> w(rng, TypeParam::kGates, 2, units);
    expect_gradients({w.input, w.hidden, w.bias},
                     [&](autograd::Tape<double>&, const std::vector<Node>& in) {
                       return TypeParam::template last_state<double>(
                           sequences.view(), rows, nullptr, nullptr, in[0], in[1], in[2]);
                     });
  }
}

TYPED_TEST(RecurrentCell, GradientWithStandardisedInput) {
  Rng rng(5);
  const Sequences sequences = ragged(rng, {2, 4, 1}, 3, 10.0);
  const Weights<double> w(rng, TypeParam::kGates, 3, 4);
  const std::vector<float> mean{1.0F, -2.0F, 0.5F}, scale{0.2F, 0.3F, 0.1F};
  expect_gradients(
      {w.input, w.hidden, w.bias}, [&](autograd::Tape<double>&, const std::vector<Node>& in) {
        return TypeParam::template last_state<double>(sequences.view(), all_rows(3), mean.data(),
                                                      scale.data(), in[0], in[1], in[2]);
      });
}

TYPED_TEST(RecurrentCell, StandardisationKeepsTimestampsApart) {
  // Unix seconds around 2024 with an hour between two sequences that are otherwise equal.
  Matrix<float> values(4, 1);
  values << 1.7e9F, 1.7e9F + 3600.0F, 1.7e9F + 86400.0F, 1.7e9F + 90112.0F;
  const Sequences raw(values, {0, 1, 2, 3, 4});
  const std::vector<float> mean{1.7e9F + 43200.0F}, scale{1.0F / 40000.0F};
  Matrix<float> scaled(4, 1);
  for (Index i = 0; i < 4; ++i) scaled(i, 0) = (values(i, 0) - mean[0]) * scale[0];
  const Sequences standard(scaled, {0, 1, 2, 3, 4});
  Rng rng(8);
  const Weights<float> w(rng, TypeParam::kGates, 1, 7);
  const auto rows = all_rows(4);
  const Matrix<float> got = infer<TypeParam>(w, raw, rows, {mean.data(), scale.data()});
  EXPECT_EQ(got, infer<TypeParam>(w, standard, rows));
  EXPECT_GT((got.row(0) - got.row(1)).cwiseAbs().maxCoeff(), 1e-3F);
}

TYPED_TEST(RecurrentCell, OverlappingWindowsShareTheirEvents) {
  Rng rng(9);
  const Sequences history = ragged(rng, {12, 5}, 3);
  const Sequences windows = history.windows(4);
  const Weights<float> w(rng, TypeParam::kGates, 3, 7);
  const Matrix<float> got = infer<TypeParam>(w, windows, all_rows(windows.size()));
  Sequences copied = windows.subset(all_rows(windows.size()));
  EXPECT_EQ(got, infer<TypeParam>(w, copied, all_rows(copied.size())));
  EXPECT_EQ(got.rows(), 17);
}

TYPED_TEST(RecurrentCell, NaNInOneSequenceTouchesNoOther) {
  Rng rng(10);
  const Sequences clean = ragged(rng, kLengths, 5);
  Matrix<float> values = clean.view().values.eigen();
  values(0, 2) = std::nanf("");  // first event of sequence 0
  const SequencesView broken{values, clean.view().starts, clean.view().stops, clean.size()};
  const Weights<float> w(rng, TypeParam::kGates, 5, 32);
  const auto rows = all_rows(clean.size());
  const Matrix<float> expected = infer<TypeParam>(w, clean, rows),
                      got = infer<TypeParam>(w, broken, rows);
  EXPECT_TRUE(got.row(0).array().isNaN().all());
  EXPECT_EQ(got.bottomRows(6), expected.bottomRows(6));
}

TYPED_TEST(RecurrentCell, WrongShapesAreRefusedByName) {
  Rng rng(1);
  const Sequences sequences = ragged(rng, {2, 3}, 4);
  const Weights<float> w(rng, TypeParam::kGates, 5, 7);
  autograd::Tape<float> tape;
  try {
    TypeParam::template last_state<float>(sequences.view(), all_rows(2), nullptr, nullptr,
                                          tape.constant(w.input), tape.constant(w.hidden),
                                          tape.constant(w.bias));
    FAIL() << "accepted";
  } catch (const InvalidArgument& error) {
    const std::string width = std::to_string(7 * TypeParam::kGates);
    EXPECT_EQ(error.what(),
              "weight_input: expected shape [4, " + width + "], got [5, " + width + "]");
  }
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

TYPED_TEST(RecurrentCell, StatesAndGradientsAreTorchs) {
  constexpr Index kGates = TypeParam::kGates;
  const GoldenFile golden(std::string(TypeParam::kName) + ".txt");
  for (const Index inputs : {1, 5, 33}) {
    for (const Index units : {7, 32, 64, 100}) {
      Rng rng(static_cast<std::uint64_t>(1000 * inputs + units));
      const Sequences sequences = ragged(rng, kLengths, inputs);
      Weights<float> w(rng, kGates, inputs, units, kGates);
      const Matrix<float> of_hidden = uniform(rng, 1, kGates * units, Weights<float>::bound(units));
      if (kGates == 4) {
        w.bias += of_hidden;
      } else {
        w.bias.conservativeResize(1, 4 * units);
        w.bias.leftCols(2 * units) += of_hidden.leftCols(2 * units);
        w.bias.rightCols(units) = of_hidden.rightCols(units);
      }
      const auto n = static_cast<Index>(kLengths.size());
      const Matrix<float> coefficients = uniform(rng, n, units, 1.0);
      const Matrix<float> columns = uniform(rng, kGates * units, 1, 1.0);
      const Matrix<float> of_sequences = uniform(rng, 1, n, 1.0);
      Matrix<float> d_input = Matrix<float>::Zero(inputs, kGates * units);
      Matrix<float> d_hidden = Matrix<float>::Zero(units, kGates * units);
      Matrix<float> d_bias = Matrix<float>::Zero(1, 4 * units);
      autograd::Tape<float> tape;
      const auto state = TypeParam::template last_state<float>(
          sequences.view(), all_rows(n), nullptr, nullptr, tape.leaf(w.input, d_input.data()),
          tape.leaf(w.hidden, d_hidden.data()), tape.leaf(w.bias, d_bias.data()));
      tape.backward(tape.apply<Objective>(1, 1, true, state, coefficients));

      const std::string name = std::to_string(inputs) + "x" + std::to_string(units) + ".";
      golden.expect(name + "state", of_sequences * state.value());
      golden.expect(name + "state", of_sequences * infer<TypeParam>(w, sequences, all_rows(n)));
      golden.expect(name + "bias", d_bias);
      golden.expect(name + "input", d_input * columns);
      golden.expect(name + "hidden", d_hidden * columns);
    }
  }
}

}  // namespace
}  // namespace ecseq
