#include <gtest/gtest.h>

#include <cmath>

#include "ecseq/autograd/operations.hpp"
#include "expect_refused.hpp"
#include "gradient_case.hpp"

namespace ecseq {

using autograd::Tape;
using testing::expect_gradients;
using testing::expect_refused;
using testing::Input;
using testing::Node;
using testing::random_matrix;
using Nodes = std::vector<Node>;

namespace {

const std::vector<std::pair<Index, Index>> kShapes{{1, 4}, {4, 1}, {5, 3}};

Input positive(Index rows, Index cols, std::uint64_t seed) {
  return random_matrix(rows, cols, seed).array().abs() + 0.1;
}

}  // namespace

ECSEQ_GRADIENT_CASE(autograd::L2NormaliseRows) {
  for (const auto& [rows, cols] : kShapes) {
    expect_gradients({random_matrix(rows, cols, 1)}, [](Tape<double>&, const Nodes& in) {
      return autograd::l2_normalise_rows(in[0]);
    });
  }
  // Rows shorter than the bound are scaled by a constant.
  expect_gradients({random_matrix(3, 4, 2)}, [](Tape<double>&, const Nodes& in) {
    return autograd::l2_normalise_rows(in[0], 100.0);
  });
}

ECSEQ_GRADIENT_CASE(autograd::LayerNorm) {
  for (const auto& [rows, cols] : kShapes) {
    expect_gradients(
        {random_matrix(rows, cols, 1), random_matrix(1, cols, 2), random_matrix(1, cols, 3)},
        [](Tape<double>&, const Nodes& in) {
          return autograd::layer_norm(in[0], in[1], in[2], 0.01);
        });
  }
}

ECSEQ_GRADIENT_CASE(autograd::BatchNorm) {
  for (const auto& [rows, cols] : kShapes) {
    expect_gradients(
        {random_matrix(rows, cols, 1), random_matrix(1, cols, 2), random_matrix(1, cols, 3)},
        [](Tape<double>&, const Nodes& in) {
          return autograd::batch_norm(in[0], in[1], in[2], 0.01, {});
        });
  }
}

ECSEQ_GRADIENT_CASE(autograd::FixedBatchNorm) {
  for (const auto& [rows, cols] : kShapes) {
    const Input mean = random_matrix(1, cols, 4), variance = positive(1, cols, 5);
    expect_gradients(
        {random_matrix(rows, cols, 1), random_matrix(1, cols, 2), random_matrix(1, cols, 3)},
        [&](Tape<double>&, const Nodes& in) {
          return autograd::fixed_batch_norm(in[0], in[1], in[2], mean, variance, 0.01);
        });
  }
}

namespace {

TEST(NormOperations, ValuesAreTheFormulas) {
  for (const auto& [rows, cols] : kShapes) {
    Tape<double> tape;
    const Input x = random_matrix(rows, cols, 1).array() + 3.0;
    const Input gain = random_matrix(1, cols, 2), bias = random_matrix(1, cols, 3);
    const Node node = tape.constant(x), g = tape.constant(gain), b = tape.constant(bias);
    const Node unit = autograd::l2_normalise_rows(node);
    const Node layer = autograd::layer_norm(node, g, b, 0.5);
    Input mean(1, cols), variance(1, cols);
    const Node batch = autograd::batch_norm(node, g, b, 0.5, {mean.data(), variance.data()});
    const Node fixed = autograd::fixed_batch_norm(node, g, b, mean, variance, 0.5);
    for (Index i = 0; i < rows; ++i) {
      EXPECT_TRUE(unit.value().row(i).isApprox(x.row(i) / x.row(i).norm(), 1e-14));
      const double row_mean = x.row(i).mean();
      const double row_variance = (x.row(i).array() - row_mean).square().mean();
      for (Index j = 0; j < cols; ++j) {
        EXPECT_NEAR(layer.value()(i, j),
                    gain(0, j) * (x(i, j) - row_mean) / std::sqrt(row_variance + 0.5) + bias(0, j),
                    1e-13);
        const double column_mean = x.col(j).mean();
        const double column_variance = (x.col(j).array() - column_mean).square().mean();
        EXPECT_NEAR(mean(0, j), column_mean, 1e-13);
        EXPECT_NEAR(variance(0, j), column_variance, 1e-13);
        EXPECT_NEAR(
            batch.value()(i, j),
            gain(0, j) * (x(i, j) - column_mean) / std::sqrt(column_variance + 0.5) + bias(0, j),
            1e-13);
      }
    }
    // With the batch's own statistics both modes agree.
    EXPECT_TRUE(fixed.value().isApprox(batch.value(), 1e-12));
  }
}

TEST(NormOperations, AZeroRowStaysZeroWithAFiniteGradient) {
  Tape<float> tape;
  const Matrix<float> x = Matrix<float>::Zero(1, 3);
  Matrix<float> gradient = Matrix<float>::Zero(1, 3);
  const auto y = autograd::l2_normalise_rows(tape.leaf(x, gradient.data()));
  EXPECT_EQ(y.value(), x);
  tape.backward(autograd::slice_columns(y, 0, 1));
  EXPECT_TRUE(gradient.allFinite());
}

TEST(NormOperations, RunningStatisticsApproachThoseOfTheData) {
  // Shards with the mean 2 and the variance 4: the correction makes the small ones unbiased.
  Rng rng(3);
  Input mean = Input::Zero(1, 1), variance = Input::Ones(1, 1), m(1, 1), v(1, 1);
  double total = 0.0;
  for (int shard = 0; shard < 20000; ++shard) {
    Tape<double> tape;
    Input x(4, 1);
    for (Index i = 0; i < 4; ++i) x(i, 0) = 2.0 + 2.0 * rng.normal();
    const Input one = Input::Ones(1, 1);
    autograd::batch_norm(tape.constant(x), tape.constant(one), tape.constant(one), 1e-5,
                         {m.data(), v.data()});
    autograd::update_running<double>({mean.data(), variance.data()}, {m.data(), v.data()}, 4, 1,
                                     0.001);
    total += v(0, 0);
  }
  EXPECT_NEAR(mean(0, 0), 2.0, 0.1);
  EXPECT_NEAR(variance(0, 0), 4.0, 0.4);
  EXPECT_NEAR(total / 20000, 3.0, 0.1);
  autograd::update_running<double>({mean.data(), variance.data()}, {m.data(), v.data()}, 1, 1, 1.0);
  EXPECT_NEAR(variance(0, 0), v(0, 0), 1e-12);
}

TEST(NormOperations, WrongArgumentsAreRefusedByName) {
  Tape<double> tape;
  const Node x = tape.constant(4, 3), row = tape.constant(1, 3), wide = tape.constant(1, 4);
  const Input mean = Input::Zero(1, 3), narrow = Input::Zero(1, 2);
  expect_refused([&] { autograd::layer_norm(x, wide, row); },
                 "gain: expected shape [1, 3], got [1, 4]");
  expect_refused([&] { autograd::layer_norm(x, row, row, 0.0); },
                 "epsilon: expected a positive number, got 0.000000");
  expect_refused([&] { autograd::batch_norm(x, row, wide, 1e-5, {}); },
                 "bias: expected shape [1, 3], got [1, 4]");
  expect_refused([&] { autograd::batch_norm(tape.constant(0, 3), row, row, 1e-5, {}); },
                 "x: expected at least one row, got none");
  expect_refused([&] { autograd::fixed_batch_norm(x, row, row, mean, narrow, 1e-5); },
                 "variance: expected shape [1, 3], got [1, 2]");
  expect_refused([&] { autograd::l2_normalise_rows(x, std::nan("")); },
                 "smallest: expected a positive number, got nan");
  expect_refused([&] { autograd::update_running<double>({}, {}, 4, 0, 1.5); },
                 "momentum: expected a number in [0, 1], got 1.500000");
}

}  // namespace
}  // namespace ecseq
