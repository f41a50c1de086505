// The kernels against plain loops in double. One source, a whole program per instruction-set
// level: the headers alone, so that no object file of another level is linked in.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "ecseq/core/rng.hpp"
#include "ecseq/kernels/dense.hpp"
#include "ecseq/kernels/gru.hpp"
#include "ecseq/kernels/lstm.hpp"

namespace ecseq::kernels {
namespace {

using Row = std::vector<double>;
using Aligned = std::vector<float, Eigen::aligned_allocator<float>>;

constexpr Index kHidden[] = {1, 7, 16, 33, 100};
constexpr Index kInputs[] = {1, 5, 33};
constexpr Index kLargestBatch = 13;
constexpr double kTolerance = 5e-6;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

Matrix<float> uniform(Rng& rng, Index rows, Index cols, double bound) {
  Matrix<float> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) {
    x.data()[i] = static_cast<float>(rng.uniform(-bound, bound));
  }
  return x;
}

double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

TEST(LevelVec, FunctionsAreTheLibrarysInEveryLane) {
  Rng rng(1);
  for (int round = 0; round < 200; ++round) {
    float x[kLanes<float> + 1], y[kLanes<float> + 1], out[kLanes<float> + 1];
    for (int lane = 0; lane <= kLanes<float>; ++lane) {
      x[lane] = static_cast<float>(rng.uniform(-9, 9));
      y[lane] = static_cast<float>(rng.uniform(0.1, 9));
    }
    // One element off, so that no access is aligned.
    const auto expect = [&](const char* name, Vec<float> got, auto expected, double tolerance) {
      store(out + 1, got);
      for (int lane = 1; lane <= kLanes<float>; ++lane) {
        const double value = expected(static_cast<double>(x[lane]), static_cast<double>(y[lane]));
        ASSERT_NEAR(out[lane], value, tolerance * std::max(1.0, std::abs(value)))
            << name << "(" << x[lane] << ", " << y[lane] << "), lane " << lane - 1;
      }
    };
    const Vec<float> a = load(x + 1), b = load(y + 1);
    expect(
        "tanh", tanh(a), [](double v, double) { return std::tanh(v); }, 5e-7);
    expect(
        "sigmoid", sigmoid(a), [](double v, double) { return logistic(v); }, 5e-7);
    expect(
        "divide", divide(a, b), [](double v, double w) { return v / w; }, 3e-7);
    // Nothing cancels: below AVX2 the product is rounded by itself.
    expect(
        "fma", fma(b, b, b), [](double, double w) { return w * w + w; }, 3e-7);
    expect(
        "min", min(a, b), [](double v, double w) { return std::min(v, w); }, 0);
    expect(
        "max", max(a, b), [](double v, double w) { return std::max(v, w); }, 0);
    expect(
        "broadcast", broadcast(x[1]), [&](double, double) { return double(x[1]); }, 0);
  }
}

TEST(LevelDense, ProductIsThatOfPlainLoopsForEveryRow) {
  for (const Index out : kHidden) {
    for (const Index in : kInputs) {
      Rng rng(static_cast<std::uint64_t>(100 * out + in));
      const Matrix<float> weight = uniform(rng, in, out, 1.0), bias = uniform(rng, 1, out, 1.0),
                          x = uniform(rng, kLargestBatch, in, 1.0);
      const PackedDense dense(weight, bias.data());
      Matrix<float> alone(kLargestBatch, dense.padded());
      for (Index i = 0; i < kLargestBatch; ++i) {
        multiply(dense, x.row(i).data(), in, 1, alone.row(i).data());
        for (Index j = 0; j < out; ++j) {
          double expected = bias(0, j);
          for (Index k = 0; k < in; ++k) expected += double(x(i, k)) * double(weight(k, j));
          ASSERT_NEAR(alone(i, j), expected, kTolerance) << in << "x" << out << " at " << j;
        }
      }
      for (Index rows = 1; rows <= kLargestBatch; ++rows) {
        Matrix<float> y(rows, dense.padded());
        multiply(dense, x.data(), in, rows, y.data());
        ASSERT_EQ(y, alone.topRows(rows)) << in << "x" << out << ", " << rows << " rows";
      }
    }
  }
}

/// The weights of a cell and its recurrence, one unit at a time.
template <class Cell>
struct Reference {
  static constexpr Index kGates = Cell::kGates;
  Matrix<float> input, hidden, bias;

  Reference(Rng& rng, Index inputs, Index units)
      : input(uniform(rng, inputs, kGates * units, 1 / std::sqrt(double(units)))),
        hidden(uniform(rng, units, kGates * units, 1 / std::sqrt(double(units)))),
        bias(uniform(rng, 1, 4 * units, 1 / std::sqrt(double(units)))) {}

  Index units() const { return hidden.rows(); }

  /// h, c: [units] of the step before, then of this one; x: [inputs]
  void step(const float* x, Row& h, Row& c) const {
    const Index n = units();
    const auto product = [&](const Matrix<float>& w, auto from, Index column) {
      double sum = 0.0;
      for (Index k = 0; k < w.rows(); ++k) {
        sum += static_cast<double>(from[k]) * static_cast<double>(w(k, column));
      }
      return sum;
    };
    Row next(at(n));
    for (Index j = 0; j < n; ++j) {
      double of_x[kGates], of_h[kGates];
      for (Index gate = 0; gate < kGates; ++gate) {
        of_x[gate] = product(input, x, gate * n + j) + double(bias(0, gate * n + j));
        of_h[gate] = product(hidden, h.data(), gate * n + j);
      }
      if constexpr (kGates == 4) {
        double& cell = c[at(j)];
        cell = logistic(of_x[1] + of_h[1]) * cell +
               logistic(of_x[0] + of_h[0]) * std::tanh(of_x[2] + of_h[2]);
        next[at(j)] = logistic(of_x[3] + of_h[3]) * std::tanh(cell);
      } else {
        const double reset = logistic(of_x[0] + of_h[0]), update = logistic(of_x[1] + of_h[1]);
        const double state = of_h[2] + double(bias(0, 3 * n + j));
        next[at(j)] = (1 - update) * std::tanh(of_x[2] + reset * state) + update * h[at(j)];
      }
    }
    h = next;
  }
};

template <class Cell>
class LevelCell : public ::testing::Test {};

struct CellName {
  template <class Cell>
  static std::string GetName(int) {
    return Cell::kGates == 4 ? "Lstm" : "Gru";
  }
};
using Cells = ::testing::Types<LstmCell, GruCell>;
TYPED_TEST_SUITE(LevelCell, Cells, CellName);

template <class Cell, class Body>
void for_every_size(const Body& body) {
  for (const Index units : kHidden) {
    for (const Index inputs : kInputs) {
      SCOPED_TRACE("H " + std::to_string(units) + ", D " + std::to_string(inputs));
      Rng rng(static_cast<std::uint64_t>(100 * units + inputs));
      const Reference<Cell> reference(rng, inputs, units);
      Aligned packed(at(packed_recurrent_size<float, Cell::kGates>(inputs, units)));
      const auto weights = pack_recurrent<float, Cell::kGates>(
          reference.input, reference.hidden, reference.bias.data(), packed.data());
      body(rng, reference, weights);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

TYPED_TEST(LevelCell, AStepIsThatOfPlainLoops) {
  using Cell = TypeParam;
  for_every_size<Cell>([](Rng& rng, const Reference<Cell>& reference, const auto& weights) {
    const Index units = weights.hidden, padded = weights.padded, width = weights.row_size();
    Matrix<float> rows = Matrix<float>::Zero(kLargestBatch, width);
    Matrix<float> cells = Matrix<float>::Zero(kLargestBatch, padded);
    const Matrix<float> h = uniform(rng, kLargestBatch, units, 1.0),
                        c = uniform(rng, kLargestBatch, units, 1.0),
                        x = uniform(rng, kLargestBatch, weights.inputs, 2.0);
    rows.leftCols(units) = h;
    rows.middleCols(padded, weights.inputs) = x;
    cells.leftCols(units) = c;
    for (Index count = 1; count <= kLargestBatch; ++count) {
      Matrix<float> states[2], cells_after[2], gates(count, 4 * padded), tanhs(count, padded);
      for (const bool keep : {false, true}) {
        states[keep] = cells_after[keep] = Matrix<float>::Zero(count, padded);
        RecurrentStep<float> step;
        step.row = rows.data();
        step.row_stride = width;
        step.cell_in = cells.data();
        step.cell_out = cells_after[keep].data();
        step.hidden_out = states[keep].data();
        step.hidden_stride = padded;
        step.gates = gates.data();
        step.cell_tanh = tanhs.data();
        if (keep) {
          recurrent_step<Cell, float, true>(weights, step, count);
        } else {
          recurrent_step<Cell, float, false>(weights, step, count);
        }
      }
      ASSERT_EQ(states[1], states[0]) << "keeping changes bits";
      ASSERT_EQ(cells_after[1], cells_after[0]) << "keeping changes bits";
      for (Index n = 0; n < count; ++n) {
        Row state(h.row(n).data(), h.row(n).data() + units);
        Row cell(c.row(n).data(), c.row(n).data() + units);
        reference.step(x.row(n).data(), state, cell);
        for (Index j = 0; j < units; ++j) {
          ASSERT_NEAR(states[0](n, j), state[at(j)], kTolerance) << count << " sequences, " << n;
          if (Cell::kCells == 1) {
            ASSERT_NEAR(cells_after[0](n, j), cell[at(j)], kTolerance) << count << ", " << n;
          }
        }
        for (Index j = units; j < padded; ++j) ASSERT_EQ(states[0](n, j), 0.0F) << "padding";
      }
    }
  });
}

// Longer than what is projected ahead for one sequence and for two; equal and different lengths.
constexpr Index kLengths[kLargestBatch] = {61, 61, 1, 25, 24, 23, 13, 12, 11, 2, 49, 7, 30};

TYPED_TEST(LevelCell, ARecurrenceIsThatOfPlainLoopsAloneAndInEveryBatch) {
  using Cell = TypeParam;
  const Index events = std::accumulate(std::begin(kLengths), std::end(kLengths), Index{0});
  for_every_size<Cell>([&](Rng& rng, const Reference<Cell>& reference, const auto& weights) {
    const Index units = weights.hidden, inputs = weights.inputs;
    const Matrix<float> x = uniform(rng, events, inputs, 2.0);
    const Matrix<float> mean = uniform(rng, 1, inputs, 1.0);
    const Matrix<float> scale = uniform(rng, 1, inputs, 0.5).array() + 1.0F;
    const LayerSource<float> source{{mean.data(), scale.data()}, nullptr};
    std::vector<EventRun> runs;
    Index first = 0;
    for (Index n = 0; n < kLargestBatch; ++n) {
      runs.push_back({x.row(first).data(), kLengths[n], n, first});
      first += kLengths[n];
    }
    Aligned scratch(at(recurrent_scratch_size<Cell, float>(weights)));
    for (const bool backward : {false, true}) {
      Matrix<float> alone(events, units), last(kLargestBatch, units);
      for (const EventRun& run : runs) {
        recurrent_layer<Cell, true>(weights, source, backward, &run, 1, alone.data(), units,
                                    scratch.data());
        recurrent_layer<Cell, false>(weights, source, backward, &run, 1, last.data(), units,
                                     scratch.data());
        Row h(at(units), 0.0), c(at(units), 0.0);
        for (Index t = 0; t < run.length; ++t) {
          const Index event = run.first + (backward ? run.length - 1 - t : t);
          const Matrix<float> scaled = (x.row(event) - mean.row(0)).cwiseProduct(scale.row(0));
          reference.step(scaled.data(), h, c);
          for (Index j = 0; j < units; ++j) {
            ASSERT_NEAR(alone(event, j), h[at(j)], kTolerance) << "after " << t + 1 << " events";
          }
          if (t + 1 == run.length) {
            ASSERT_EQ(last.row(run.result), alone.row(event));
          }
        }
      }
      for (Index size = 2; size <= kLargestBatch; ++size) {
        for (Index begin = 0; begin < kLargestBatch; begin += size) {
          std::vector<EventRun> batch(runs.begin() + begin,
                                      runs.begin() + std::min(begin + size, kLargestBatch));
          std::stable_sort(batch.begin(), batch.end(),
                           [](const auto& a, const auto& b) { return a.length > b.length; });
          Matrix<float> every = Matrix<float>::Zero(events, units);
          recurrent_layer<Cell, true>(weights, source, backward, batch.data(),
                                      static_cast<Index>(batch.size()), every.data(), units,
                                      scratch.data());
          for (const EventRun& run : batch) {
            ASSERT_EQ(every.middleRows(run.first, run.length),
                      alone.middleRows(run.first, run.length))
                << "in a batch of " << batch.size();
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace ecseq::kernels
