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
using Groups = std::vector<Index>;

namespace {

Input positive(Index rows, std::uint64_t seed) {
  return random_matrix(rows, 1, seed).array().abs() + 0.1;
}

/// The formula, pair by pair.
double nt_xent_formula(const Input& a, const Input& b, double temperature, const Groups& groups,
                       const double* weights) {
  const Index n = a.rows();
  Input z(2 * n, a.cols());
  z << a, b;
  double loss = 0.0;
  for (Index k = 0; k < 2 * n; ++k) {
    const Index other = (k + n) % (2 * n);
    double sum = 0.0;
    for (Index j = 0; j < 2 * n; ++j) {
      const bool same = groups.empty() ? j % n == k % n
                                       : groups[static_cast<std::size_t>(j % n)] ==
                                             groups[static_cast<std::size_t>(k % n)];
      if (j == other || !same) sum += std::exp(z.row(k).dot(z.row(j)) / temperature);
    }
    const double term = std::log(sum) - z.row(k).dot(z.row(other)) / temperature;
    loss += (weights ? weights[k % n] : 1.0) * term / 2;
  }
  return loss;
}

}  // namespace

ECSEQ_GRADIENT_CASE(autograd::ClassCrossEntropy) {
  const Groups classes{2, 0, 3, 3, 1};
  expect_gradients({random_matrix(5, 4, 1, 2.0)}, [&](Tape<double>&, const Nodes& in) {
    return autograd::class_cross_entropy(in[0], classes, 0.7);
  });
}

TEST(ClassCrossEntropy, IsCrossEntropyWithOneClassPerRow) {
  const Groups classes{2, 0, 3, 3, 1};
  Input targets = Input::Zero(5, 4);
  for (Index i = 0; i < 5; ++i) targets(i, classes[static_cast<std::size_t>(i)]) = 1.0;
  const Input logits = random_matrix(5, 4, 1, 30.0);
  Tape<double> tape;
  const auto z = tape.constant(logits);
  EXPECT_NEAR(autograd::class_cross_entropy<double>(z, classes).value()(0, 0),
              autograd::cross_entropy(z, targets, nullptr).value()(0, 0), 1e-12);
  const Groups beyond{2, 0, 4, 3, 1}, few{1};
  expect_refused([&] { autograd::class_cross_entropy<double>(z, beyond); },
                 "classes[2]: expected a row number below 4, got 4");
  expect_refused([&] { autograd::class_cross_entropy<double>(z, few); },
                 "classes: expected 5 values, got 1");
}

ECSEQ_GRADIENT_CASE(autograd::Huber) {
  const Input targets = random_matrix(6, 2, 1), weights = positive(6, 2);
  for (const double delta : {0.3, 1.0, 50.0}) {
    expect_gradients({random_matrix(6, 2, 3, 2.0)}, [&](Tape<double>&, const Nodes& in) {
      return autograd::huber(in[0], targets, weights.data(), delta);
    });
  }
  expect_gradients({random_matrix(6, 2, 4)}, [&](Tape<double>&, const Nodes& in) {
    return autograd::huber(in[0], targets, nullptr);
  });
}

ECSEQ_GRADIENT_CASE(autograd::Bpr) {
  const Input weights = positive(5, 1);
  for (const double* w : {weights.data(), static_cast<const double*>(nullptr)}) {
    expect_gradients(
        {random_matrix(5, 1, 2, 2.0), random_matrix(5, 1, 3, 2.0)},
        [&](Tape<double>&, const Nodes& in) { return autograd::bpr(in[0], in[1], w); });
  }
}

ECSEQ_GRADIENT_CASE(autograd::TripletHinge) {
  const Input weights = positive(9, 1), margins = positive(9, 2);
  const std::span<const double> m(margins.data(), 9);
  for (const double* w : {weights.data(), static_cast<const double*>(nullptr)}) {
    expect_gradients({random_matrix(9, 1, 3), random_matrix(9, 1, 4)},
                     [&](Tape<double>&, const Nodes& in) {
                       return autograd::triplet_hinge(in[0], in[1], m, w);
                     });
  }
}

ECSEQ_GRADIENT_CASE(autograd::NtXent) {
  const Input weights = positive(5, 1);
  const Groups users{7, 3, 7, 1, 7};
  expect_gradients({random_matrix(5, 3, 2), random_matrix(5, 3, 3)},
                   [&](Tape<double>&, const Nodes& in) {
                     return autograd::nt_xent(in[0], in[1], 0.5, users, weights.data());
                   });
  for (const Index cols : {1, 4}) {
    expect_gradients({random_matrix(4, cols, 4), random_matrix(4, cols, 5)},
                     [](Tape<double>&, const Nodes& in) {
                       return autograd::nt_xent(in[0], in[1], 1.0, {}, nullptr);
                     });
  }
  // More rows than one block of similarities.
  expect_gradients({random_matrix(70, 1, 6), random_matrix(70, 1, 7)},
                   [](Tape<double>&, const Nodes& in) {
                     return autograd::nt_xent(in[0], in[1], 2.0, {}, nullptr);
                   });
}

namespace {

TEST(Losses, ValuesAreTheFormulas) {
  for (const Index n : {1, 7}) {
    Tape<double> tape;
    const Input a = random_matrix(n, 1, 1, 2.0), b = random_matrix(n, 1, 2, 2.0);
    const Input weights = positive(n, 3), margins = positive(n, 4);
    double huber = 0.0, bpr = 0.0, hinge = 0.0;
    for (Index i = 0; i < n; ++i) {
      const double e = a(i, 0) - b(i, 0), size = std::abs(e);
      huber += weights(i, 0) * (size <= 0.7 ? e * e / 2 : 0.7 * (size - 0.35));
      bpr -= weights(i, 0) * std::log(1.0 / (1.0 + std::exp(-e)));
      hinge += weights(i, 0) * std::max(0.0, e + margins(i, 0));
    }
    const Node x = tape.constant(a), y = tape.constant(b);
    EXPECT_NEAR(autograd::huber(x, b, weights.data(), 0.7).value()(0, 0), huber, 1e-12);
    EXPECT_NEAR(autograd::bpr(x, y, weights.data()).value()(0, 0), bpr, 1e-12);
    const std::span<const double> m(margins.data(), static_cast<std::size_t>(n));
    EXPECT_NEAR(autograd::triplet_hinge(x, y, m, weights.data()).value()(0, 0), hinge, 1e-12);
  }
}

TEST(Losses, BprIsFiniteForHugeScores) {
  Tape<float> tape;
  const Matrix<float> p = (Matrix<float>(2, 1) << 1000, -1000).finished();
  const Matrix<float> q = Matrix<float>::Zero(2, 1);
  Matrix<float> gradient = Matrix<float>::Zero(2, 1);
  const auto loss = autograd::bpr(tape.leaf(p, gradient.data()), tape.constant(q), nullptr);
  EXPECT_EQ(loss.value()(0, 0), 1000.0F);
  tape.backward(loss);
  EXPECT_EQ(gradient, (Matrix<float>(2, 1) << 0, -1).finished());
}

TEST(Losses, NtXentIsTheFormula) {
  const Groups users{4, 4, 1, 2, 1, 4};
  for (const Groups& groups : {Groups{}, users}) {
    Tape<double> tape;
    const Input a = random_matrix(6, 3, 1), b = random_matrix(6, 3, 2), weights = positive(6, 3);
    for (const double* w : {weights.data(), static_cast<const double*>(nullptr)}) {
      const Node loss = autograd::nt_xent(tape.constant(a), tape.constant(b), 0.4, groups, w);
      EXPECT_NEAR(loss.value()(0, 0), nt_xent_formula(a, b, 0.4, groups, w), 1e-11);
    }
  }
  Tape<double> tape;
  const Input a = random_matrix(100, 5, 1), b = random_matrix(100, 5, 2);
  const Node loss = autograd::nt_xent(tape.constant(a), tape.constant(b), 1.0, {}, nullptr);
  EXPECT_NEAR(loss.value()(0, 0), nt_xent_formula(a, b, 1.0, {}, nullptr), 1e-9);
}

TEST(Losses, NtXentOfOnePairOrOneGroupIsZero) {
  Tape<double> tape;
  const Input a = random_matrix(3, 2, 1), b = random_matrix(3, 2, 2);
  const Groups same{5, 5, 5};
  EXPECT_EQ(autograd::nt_xent(tape.constant(a), tape.constant(b), 1.0, same, nullptr).value()(0, 0),
            0.0);
  const Node first = autograd::slice_rows(tape.constant(a), 0, 1);
  const Node second = autograd::slice_rows(tape.constant(b), 0, 1);
  EXPECT_EQ(autograd::nt_xent(first, second, 1.0, {}, nullptr).value()(0, 0), 0.0);
}

TEST(Losses, WrongArgumentsAreRefusedByName) {
  Tape<double> tape;
  const Node column = tape.constant(4, 1), wide = tape.constant(4, 2),
             short_one = tape.constant(3, 1);
  const Input targets = Input::Zero(4, 2);
  const std::vector<double> margins(3, 1.0);
  const Groups groups{1, 2};
  expect_refused([&] { autograd::huber(column, targets, nullptr); },
                 "targets: expected shape [4, 1], got [4, 2]");
  expect_refused([&] { autograd::huber(wide, targets, nullptr, 0.0); },
                 "delta: expected a positive number, got 0.000000");
  expect_refused([&] { autograd::bpr(wide, column, nullptr); },
                 "positive: expected shape [4, 1], got [4, 2]");
  expect_refused([&] { autograd::bpr(column, short_one, nullptr); },
                 "negative: expected shape [4, 1], got [3, 1]");
  expect_refused([&] { autograd::triplet_hinge(column, short_one, margins, nullptr); },
                 "far: expected shape [4, 1], got [3, 1]");
  expect_refused([&] { autograd::triplet_hinge(column, column, margins, nullptr); },
                 "margins: expected 4 values, got 3");
  expect_refused([&] { autograd::nt_xent(column, wide, 1.0, {}, nullptr); },
                 "b: expected shape [4, 1], got [4, 2]");
  expect_refused([&] { autograd::nt_xent(column, column, -1.0, {}, nullptr); },
                 "temperature: expected a positive number, got -1.000000");
  expect_refused([&] { autograd::nt_xent(column, column, 1.0, groups, nullptr); },
                 "groups: expected 4 values, got 2");
}

}  // namespace
}  // namespace ecseq
