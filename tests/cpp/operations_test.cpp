#include "ecseq/autograd/operations.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gradient_case.hpp"

namespace ecseq {

using autograd::Tape;
using testing::expect_gradients;
using testing::Input;
using testing::Node;
using testing::random_matrix;
using Nodes = std::vector<Node>;

ECSEQ_GRADIENT_CASE(autograd::Linear) {
  expect_gradients(
      {random_matrix(4, 3, 1), random_matrix(3, 5, 2), random_matrix(1, 5, 3)},
      [](Tape<double>&, const Nodes& in) { return autograd::linear(in[0], in[1], in[2]); });
}

TEST(Operations, LinearValue) {
  Tape<float> tape;
  Matrix<float> x(1, 2), w(2, 2), b(1, 2);
  x << 1, 2;
  w << 3, 4, 5, 6;
  b << 10, 20;
  const auto y = autograd::linear(tape.constant(x), tape.constant(w), tape.constant(b));
  EXPECT_EQ(y.value()(0, 0), 23.0F);
  EXPECT_EQ(y.value()(0, 1), 36.0F);
  EXPECT_FALSE(y.needs_gradient());
}

ECSEQ_GRADIENT_CASE(autograd::Matmul) {
  expect_gradients({random_matrix(4, 3, 1), random_matrix(3, 2, 2)},
                   [](Tape<double>&, const Nodes& in) { return autograd::matmul(in[0], in[1]); });
}

ECSEQ_GRADIENT_CASE(autograd::AddScaled) {
  const Input a = random_matrix(3, 4, 1), b = random_matrix(3, 4, 2);
  expect_gradients({a, b},
                   [](Tape<double>&, const Nodes& in) { return autograd::add(in[0], in[1]); });
  expect_gradients({a, b}, [](Tape<double>&, const Nodes& in) {
    return autograd::add_scaled(in[0], in[1], -2.5);
  });
  expect_gradients({a, b},
                   [](Tape<double>&, const Nodes& in) { return autograd::subtract(in[0], in[1]); });
  // One variable on both sides counts twice.
  expect_gradients({a}, [](Tape<double>&, const Nodes& in) { return autograd::add(in[0], in[0]); });
}

TEST(Operations, SubtractValue) {
  Tape<double> tape;
  const Input a = random_matrix(1, 5, 1), b = random_matrix(1, 5, 2);
  EXPECT_EQ(autograd::subtract(tape.constant(a), tape.constant(b)).value(), Input(a - b));
}

ECSEQ_GRADIENT_CASE(autograd::Relu) {
  expect_gradients({random_matrix(5, 4, 7)},
                   [](Tape<double>&, const Nodes& in) { return autograd::relu(in[0]); });
}

TEST(Operations, ReluKeepsNaN) {
  Tape<float> tape;
  const Matrix<float> x = Matrix<float>::Constant(1, 33, std::nanf(""));
  EXPECT_TRUE(autograd::relu(tape.constant(x)).value().array().isNaN().all());
}

ECSEQ_GRADIENT_CASE(autograd::Tanh) {
  expect_gradients({random_matrix(5, 4, 8)},
                   [](Tape<double>&, const Nodes& in) { return autograd::tanh(in[0]); });
}

ECSEQ_GRADIENT_CASE(autograd::Sigmoid) {
  expect_gradients({random_matrix(5, 4, 9)},
                   [](Tape<double>&, const Nodes& in) { return autograd::sigmoid(in[0]); });
}

ECSEQ_GRADIENT_CASE(autograd::Dropout) {
  expect_gradients({random_matrix(6, 5, 10)}, [](Tape<double>&, const Nodes& in) {
    Rng rng(3);
    return autograd::dropout(in[0], 0.4, rng);
  });
}

TEST(Operations, DropoutKeepsTheMeanAndIsTheIdentityAtRateZero) {
  Tape<float> tape;
  Rng rng(5);
  const Matrix<float> x = Matrix<float>::Ones(400, 50);
  const auto y = autograd::dropout(tape.constant(x), 0.25, rng);
  EXPECT_NEAR(y.value().mean(), 1.0F, 0.02F);
  EXPECT_NEAR((y.value().array() == 0.0F).cast<float>().mean(), 0.25F, 0.02F);
  const auto same = autograd::dropout(tape.constant(x), 0.0, rng);
  EXPECT_EQ(same.value().data(), x.data());
  EXPECT_THROW(autograd::dropout(tape.constant(x), 1.0, rng), InvalidArgument);
  EXPECT_THROW(autograd::dropout(tape.constant(x), -0.1, rng), InvalidArgument);
}

ECSEQ_GRADIENT_CASE(autograd::ConcatColumns) {
  expect_gradients({random_matrix(3, 2, 1), random_matrix(3, 1, 2), random_matrix(3, 4, 3)},
                   [](Tape<double>&, const Nodes& in) {
                     return autograd::concat_columns({in[0], in[1], in[2]});
                   });
}

TEST(Operations, ConcatColumnsValueFromASpan) {
  Tape<double> tape;
  const Input a = random_matrix(3, 2, 1), b = random_matrix(3, 1, 2);
  const std::vector<Node> parts{tape.constant(a), tape.constant(b)};
  const auto y = autograd::concat_columns(std::span<const Node>(parts));
  ASSERT_EQ(y.cols(), 3);
  EXPECT_EQ(y.value().leftCols(2), a);
  EXPECT_EQ(y.value().rightCols(1), b);
}

static Input probabilities(Index rows, Index cols, std::uint64_t seed) {
  Input p = random_matrix(rows, cols, seed).array().abs() + 0.1;
  for (Index i = 0; i < rows; ++i) p.row(i) /= p.row(i).sum();
  return p;
}

ECSEQ_GRADIENT_CASE(autograd::BinaryCrossEntropy) {
  const Input targets = probabilities(6, 2, 4).leftCols(1);
  const Input weights = random_matrix(6, 1, 5).cwiseAbs();
  expect_gradients({random_matrix(6, 1, 6, 3.0)}, [&](Tape<double>&, const Nodes& in) {
    return autograd::binary_cross_entropy(in[0], targets, weights.data());
  });
  expect_gradients({random_matrix(6, 1, 7)}, [&](Tape<double>&, const Nodes& in) {
    return autograd::binary_cross_entropy(in[0], targets, nullptr);
  });
}

TEST(Operations, BinaryCrossEntropyIsExactForHugeLogits) {
  Tape<float> tape;
  Matrix<float> z(4, 1), y(4, 1), gradient = Matrix<float>::Zero(4, 1);
  z << 1000, -1000, 1000, -1000;
  y << 1, 0, 0, 1;
  const auto loss = autograd::binary_cross_entropy(tape.leaf(z, gradient.data()), y, nullptr);
  EXPECT_EQ(loss.value()(0, 0), 2000.0F);
  tape.backward(loss);
  const Matrix<float> expected = (Matrix<float>(4, 1) << 0, 0, 1, -1).finished();
  EXPECT_EQ(gradient, expected);
}

ECSEQ_GRADIENT_CASE(autograd::CrossEntropy) {
  const Input targets = probabilities(5, 4, 4);
  const Input weights = random_matrix(5, 1, 5).cwiseAbs();
  expect_gradients({random_matrix(5, 4, 6, 2.0)}, [&](Tape<double>&, const Nodes& in) {
    return autograd::cross_entropy(in[0], targets, weights.data());
  });
  expect_gradients({random_matrix(5, 4, 7)}, [&](Tape<double>&, const Nodes& in) {
    return autograd::cross_entropy(in[0], targets, nullptr);
  });
}

TEST(Operations, CrossEntropyOfTwoClassesIsBinaryCrossEntropy) {
  Tape<double> tape;
  const Input z = random_matrix(6, 1, 1);
  Input both = Input::Zero(6, 2), targets = probabilities(6, 2, 2);
  both.col(1) = z;
  const Input positive = targets.rightCols(1);
  const auto two = autograd::cross_entropy(tape.constant(both), targets, nullptr);
  const auto one = autograd::binary_cross_entropy(tape.constant(z), positive, nullptr);
  EXPECT_NEAR(two.value()(0, 0), one.value()(0, 0), 1e-12);
}

TEST(Operations, CrossEntropyIsFiniteForHugeLogits) {
  Tape<float> tape;
  Matrix<float> z(1, 3), y(1, 3), gradient = Matrix<float>::Zero(1, 3);
  z << 1000, -1000, 0;
  y << 0, 1, 0;
  const auto loss = autograd::cross_entropy(tape.leaf(z, gradient.data()), y, nullptr);
  EXPECT_EQ(loss.value()(0, 0), 2000.0F);
  tape.backward(loss);
  const Matrix<float> expected = (Matrix<float>(1, 3) << 1, -1, 0).finished();
  EXPECT_EQ(gradient, expected);
}

ECSEQ_GRADIENT_CASE(autograd::SquaredError) {
  const Input targets = random_matrix(5, 2, 4), weights = random_matrix(5, 1, 5).cwiseAbs();
  expect_gradients({random_matrix(5, 2, 6)}, [&](Tape<double>&, const Nodes& in) {
    return autograd::squared_error(in[0], targets, weights.data());
  });
  expect_gradients({random_matrix(5, 2, 6)}, [&](Tape<double>&, const Nodes& in) {
    return autograd::squared_error(in[0], targets, nullptr);
  });
}

TEST(Operations, GradientOfAComposition) {
  const Input targets = probabilities(6, 2, 4).leftCols(1);
  expect_gradients({random_matrix(6, 3, 1), random_matrix(3, 4, 2), random_matrix(1, 4, 3),
                    random_matrix(7, 1, 4), random_matrix(1, 1, 5)},
                   [&](Tape<double>&, const Nodes& in) {
                     const Node hidden = autograd::tanh(autograd::linear(in[0], in[1], in[2]));
                     const Node all = autograd::concat_columns({in[0], hidden});
                     const Node logits = autograd::linear(all, in[3], in[4]);
                     return autograd::add_scaled(
                         autograd::binary_cross_entropy(logits, targets, nullptr),
                         autograd::squared_error(logits, targets, nullptr), 0.5);
                   });
}

TEST(Operations, WrongShapesAreRefusedByName) {
  Tape<double> tape;
  const Input x = random_matrix(4, 3, 1), w = random_matrix(2, 5, 2), b = random_matrix(1, 5, 3);
  try {
    autograd::linear(tape.constant(x), tape.constant(w), tape.constant(b));
    FAIL() << "accepted";
  } catch (const InvalidArgument& error) {
    EXPECT_STREQ(error.what(), "weight: expected shape [3, 5], got [2, 5]");
  }
  EXPECT_THROW(autograd::add(tape.constant(x), tape.constant(w)), InvalidArgument);
  EXPECT_THROW(autograd::concat_columns({tape.constant(x), tape.constant(w)}), InvalidArgument);
  EXPECT_THROW(autograd::binary_cross_entropy(tape.constant(x), x, nullptr), InvalidArgument);
  EXPECT_THROW(autograd::cross_entropy(tape.constant(x), w, nullptr), InvalidArgument);
}

}  // namespace ecseq
