#include <gtest/gtest.h>

#include "ecseq/autograd/operations.hpp"
#include "expect_refused.hpp"
#include "gradient_case.hpp"

namespace ecseq {

using autograd::SparsePattern;
using autograd::Tape;
using testing::expect_gradients;
using testing::expect_refused;
using testing::Input;
using testing::Node;
using testing::random_matrix;
using Nodes = std::vector<Node>;

namespace {

struct Product {
  Index batches, n, k, m;
};
const std::vector<Product> kProducts{{1, 1, 1, 1}, {1, 4, 3, 2}, {3, 1, 5, 1}, {2, 9, 7, 5}};

/// Rows of 3, 0, 1 and 4 entries over 5 columns; column 2 occurs twice in the last row, 4 never.
const std::vector<Index> kOffsets{0, 3, 3, 4, 8}, kColumns{3, 0, 2, 1, 2, 1, 2, 3};
const SparsePattern kPattern{kOffsets, kColumns};

}  // namespace

ECSEQ_GRADIENT_CASE(autograd::BatchedMatmul) {
  for (const auto& [batches, n, k, m] : kProducts) {
    expect_gradients({random_matrix(batches * n, k, 1), random_matrix(batches * k, m, 2)},
                     [b = batches](Tape<double>&, const Nodes& in) {
                       return autograd::batched_matmul(in[0], in[1], b);
                     });
    expect_gradients({random_matrix(batches * n, k, 1), random_matrix(batches * m, k, 2)},
                     [b = batches](Tape<double>&, const Nodes& in) {
                       return autograd::batched_matmul_transposed(in[0], in[1], b);
                     });
  }
  // A matrix with itself, as in S S'.
  expect_gradients({random_matrix(6, 4, 3)}, [](Tape<double>&, const Nodes& in) {
    return autograd::batched_matmul_transposed(in[0], in[0], 2);
  });
}

ECSEQ_GRADIENT_CASE(autograd::SparseDense) {
  for (const Index cols : {1, 3}) {
    expect_gradients({random_matrix(8, 1, 1), random_matrix(5, cols, 2)},
                     [](Tape<double>&, const Nodes& in) {
                       return autograd::sparse_dense(kPattern, in[0], in[1]);
                     });
  }
}

namespace {

TEST(ProductOperations, BatchedMatmulIsTheFormula) {
  for (const auto& [batches, n, k, m] : kProducts) {
    Tape<double> tape;
    const Input a = random_matrix(batches * n, k, 1), b = random_matrix(batches * k, m, 2);
    Input transposed(batches * m, k);
    for (Index i = 0; i < batches; ++i) {
      transposed.middleRows(i * m, m) = b.middleRows(i * k, k).transpose();
    }
    const Node plain = autograd::batched_matmul(tape.constant(a), tape.constant(b), batches);
    const Node other =
        autograd::batched_matmul_transposed(tape.constant(a), tape.constant(transposed), batches);
    ASSERT_EQ(plain.rows(), batches * n);
    ASSERT_EQ(plain.cols(), m);
    for (Index i = 0; i < batches * n; ++i) {
      for (Index j = 0; j < m; ++j) {
        double sum = 0.0;
        for (Index l = 0; l < k; ++l) sum += a(i, l) * b(i / n * k + l, j);
        EXPECT_NEAR(plain.value()(i, j), sum, 1e-12);
        EXPECT_NEAR(other.value()(i, j), sum, 1e-12);
      }
    }
  }
}

TEST(ProductOperations, BitsDoNotDependOnWhereMatricesLie) {
  for (const Index n : {1, 2, 33}) {
    for (const Index m : {1, 17, 40}) {
      testing::expect_same_wherever_inputs_lie(
          {random_matrix(2 * n, 37, 1), random_matrix(2 * 37, m, 2)},
          [](Tape<double>&, const Nodes& in) { return autograd::batched_matmul(in[0], in[1], 2); });
      testing::expect_same_wherever_inputs_lie(
          {random_matrix(2 * n, 37, 1), random_matrix(2 * m, 37, 2)},
          [](Tape<double>&, const Nodes& in) {
            return autograd::batched_matmul_transposed(in[0], in[1], 2);
          });
      testing::expect_same_wherever_inputs_lie(
          {random_matrix(n, 37, 1), random_matrix(37, m, 2), random_matrix(1, m, 3)},
          [](Tape<double>&, const Nodes& in) { return autograd::linear(in[0], in[1], in[2]); });
    }
  }
}

TEST(ProductOperations, SparseDenseIsTheDenseProduct) {
  Tape<double> tape;
  const Input values = random_matrix(8, 1, 1), x = random_matrix(5, 3, 2);
  Input dense = Input::Zero(4, 5);
  for (Index i = 0; i < 4; ++i) {
    for (Index e = kOffsets[static_cast<std::size_t>(i)];
         e < kOffsets[static_cast<std::size_t>(i) + 1]; ++e) {
      dense(i, kColumns[static_cast<std::size_t>(e)]) += values(e, 0);
    }
  }
  const Node y = autograd::sparse_dense(kPattern, tape.constant(values), tape.constant(x));
  EXPECT_TRUE(y.value().isApprox(dense * x, 1e-14));
  EXPECT_EQ(y.value().row(1), Input::Zero(1, 3));
}

TEST(ProductOperations, WrongArgumentsAreRefusedByName) {
  Tape<double> tape;
  const Node a = tape.constant(6, 3), b = tape.constant(6, 4);
  expect_refused([&] { autograd::batched_matmul(a, b, 4); },
                 "batches: expected a divisor of 6, the rows of a, got 4");
  expect_refused([&] { autograd::batched_matmul(a, b, 0); },
                 "batches: expected a divisor of 6, the rows of a, got 0");
  expect_refused([&] { autograd::batched_matmul(a, b, 3); },
                 "b: expected shape [9, 4], got [6, 4]");
  expect_refused([&] { autograd::batched_matmul_transposed(a, b, 2); },
                 "b: expected shape [6, 3], got [6, 4]");
  expect_refused([&] { autograd::batched_matmul_transposed(a, tape.constant(5, 3), 2); },
                 "b: expected a multiple of 2 rows, got 5");
  const Node values = tape.constant(8, 1), x = tape.constant(3, 2);
  expect_refused([&] { autograd::sparse_dense(kPattern, values, x); },
                 "pattern.columns[0]: expected a row number below 3, got 3");
  expect_refused([&] { autograd::sparse_dense(kPattern, x, tape.constant(5, 2)); },
                 "values: expected shape [8, 1], got [3, 2]");
  const std::vector<Index> short_offsets{0, 3};
  expect_refused(
      [&] {
        autograd::sparse_dense({short_offsets, kColumns}, values, x);
      },
      "pattern.offsets[1]: expected the number of rows, 8, got 3");
}

}  // namespace
}  // namespace ecseq
