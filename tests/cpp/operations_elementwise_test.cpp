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

ECSEQ_GRADIENT_CASE(autograd::Exp) {
  expect_gradients({random_matrix(5, 3, 1)},
                   [](Tape<double>&, const Nodes& in) { return autograd::exp(in[0]); });
}

ECSEQ_GRADIENT_CASE(autograd::Log) {
  const Input x = random_matrix(5, 3, 2).array().abs() + 0.5;
  expect_gradients({x}, [](Tape<double>&, const Nodes& in) { return autograd::log(in[0]); });
}

ECSEQ_GRADIENT_CASE(autograd::Gelu) {
  expect_gradients({random_matrix(5, 3, 3, 2.0)},
                   [](Tape<double>&, const Nodes& in) { return autograd::gelu(in[0]); });
}

ECSEQ_GRADIENT_CASE(autograd::LeakyRelu) {
  expect_gradients({random_matrix(5, 3, 4)},
                   [](Tape<double>&, const Nodes& in) { return autograd::leaky_relu(in[0], 0.2); });
}

ECSEQ_GRADIENT_CASE(autograd::Scale) {
  expect_gradients({random_matrix(5, 3, 5)},
                   [](Tape<double>&, const Nodes& in) { return autograd::scale(in[0], -1.5); });
}

ECSEQ_GRADIENT_CASE(autograd::Multiply) {
  expect_gradients({random_matrix(5, 3, 6), random_matrix(5, 3, 7)},
                   [](Tape<double>&, const Nodes& in) { return autograd::multiply(in[0], in[1]); });
  expect_gradients({random_matrix(5, 3, 6)},
                   [](Tape<double>&, const Nodes& in) { return autograd::multiply(in[0], in[0]); });
}

ECSEQ_GRADIENT_CASE(autograd::MultiplyRows) {
  for (const Index cols : {1, 5}) {
    expect_gradients(
        {random_matrix(4, cols, 8), random_matrix(4, 1, 9)},
        [](Tape<double>&, const Nodes& in) { return autograd::multiply_rows(in[0], in[1]); });
  }
}

ECSEQ_GRADIENT_CASE(autograd::RowDot) {
  for (const Index cols : {1, 5}) {
    expect_gradients(
        {random_matrix(4, cols, 10), random_matrix(4, cols, 11)},
        [](Tape<double>&, const Nodes& in) { return autograd::row_dot(in[0], in[1]); });
  }
  expect_gradients({random_matrix(4, 3, 12)},
                   [](Tape<double>&, const Nodes& in) { return autograd::row_dot(in[0], in[0]); });
}

namespace {

TEST(ElementwiseOperations, ValuesAreTheFormulas) {
  for (const auto& [rows, cols] : {std::pair<Index, Index>{1, 1}, {1, 37}, {37, 1}, {5, 7}}) {
    Tape<double> tape;
    const Input a = random_matrix(rows, cols, 1), b = random_matrix(rows, cols, 2);
    const Input w = random_matrix(rows, 1, 3);
    const Node x = tape.constant(a), y = tape.constant(b), weight = tape.constant(w);
    const auto exp = autograd::exp(x), log = autograd::log(autograd::exp(x));
    const auto gelu = autograd::gelu(x), leaky = autograd::leaky_relu(x, 0.1);
    const auto scaled = autograd::scale(x, 3.0), product = autograd::multiply(x, y);
    const auto weighted = autograd::multiply_rows(x, weight), dot = autograd::row_dot(x, y);
    for (Index i = 0; i < rows; ++i) {
      double sum = 0.0;
      for (Index j = 0; j < cols; ++j) {
        const double v = a(i, j);
        EXPECT_EQ(exp.value()(i, j), std::exp(v));
        EXPECT_NEAR(log.value()(i, j), v, 1e-14);
        EXPECT_NEAR(gelu.value()(i, j), 0.5 * v * std::erfc(-v / std::sqrt(2.0)), 1e-15);
        EXPECT_EQ(leaky.value()(i, j), v > 0 ? v : 0.1 * v);
        EXPECT_EQ(scaled.value()(i, j), 3.0 * v);
        EXPECT_EQ(product.value()(i, j), v * b(i, j));
        EXPECT_EQ(weighted.value()(i, j), v * w(i, 0));
        sum += v * b(i, j);
      }
      EXPECT_NEAR(dot.value()(i, 0), sum, 1e-12);
    }
  }
}

TEST(ElementwiseOperations, NaNStaysNaN) {
  Tape<float> tape;
  const Matrix<float> x = Matrix<float>::Constant(1, 33, std::nanf(""));
  const auto node = tape.constant(x);
  EXPECT_TRUE(autograd::exp(node).value().array().isNaN().all());
  EXPECT_TRUE(autograd::gelu(node).value().array().isNaN().all());
  EXPECT_TRUE(autograd::leaky_relu(node, 0.1F).value().array().isNaN().all());
}

TEST(ElementwiseOperations, GeluIsTheIdentityFarRightAndZeroFarLeft) {
  Tape<float> tape;
  const Matrix<float> x = (Matrix<float>(1, 2) << 50, -50).finished();
  const auto y = autograd::gelu(tape.constant(x));
  EXPECT_EQ(y.value()(0, 0), 50.0F);
  EXPECT_EQ(y.value()(0, 1), 0.0F);
}

TEST(ElementwiseOperations, WrongShapesAreRefusedByName) {
  Tape<double> tape;
  const Node a = tape.constant(4, 3), b = tape.constant(4, 2);
  expect_refused([&] { autograd::multiply(a, b); }, "b: expected shape [4, 3], got [4, 2]");
  expect_refused([&] { autograd::subtract(a, b); }, "b: expected shape [4, 3], got [4, 2]");
  expect_refused([&] { autograd::row_dot(a, b); }, "b: expected shape [4, 3], got [4, 2]");
  expect_refused([&] { autograd::multiply_rows(a, b); },
                 "weights: expected shape [4, 1], got [4, 2]");
}

}  // namespace
}  // namespace ecseq
