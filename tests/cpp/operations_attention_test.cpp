#include <gtest/gtest.h>

#include <cmath>

#include "ecseq/autograd/operations.hpp"
#include "expect_refused.hpp"
#include "gradient_case.hpp"

namespace ecseq {

using autograd::AttentionDropout;
using autograd::AttentionMask;
using autograd::Tape;
using testing::expect_gradients;
using testing::expect_refused;
using testing::Input;
using testing::Node;
using testing::random_matrix;
using Nodes = std::vector<Node>;
using Offsets = std::vector<Index>;
using Mask = std::vector<std::uint8_t>;

namespace {

/// Sequences of 3, 0, 1 and 5 rows; and as keys of 2, 4, 1 and 0 rows.
const Offsets kRows{0, 3, 3, 4, 9}, kKeys{0, 2, 6, 7, 7};

Mask random_mask(Index pairs, std::uint64_t seed) {
  Rng rng(seed);
  Mask mask(static_cast<std::size_t>(pairs));
  for (auto& allowed : mask) allowed = rng.uniform() < 0.6;
  for (std::size_t j = 0; j < 3 && j < mask.size(); ++j) mask[j] = 0;  // a query without any key
  return mask;
}

/// The formula, query by query.
Input formula(const Input& q, const Input& k, const Input& v, Index heads, const Offsets& queries,
              const Offsets& keys, const AttentionMask& mask) {
  const Index dk = q.cols() / heads, dv = v.cols() / heads;
  Input y = Input::Zero(q.rows(), v.cols());
  std::size_t pair = 0;
  for (std::size_t s = 0; s + 1 < queries.size(); ++s) {
    for (Index i = queries[s]; i < queries[s + 1]; ++i) {
      const std::size_t first = pair;
      for (Index h = 0; h < heads; ++h) {
        pair = first;
        double sum = 0.0;
        RowVector<double> out = RowVector<double>::Zero(dv);
        for (Index j = keys[s]; j < keys[s + 1]; ++j, ++pair) {
          if (mask.causal && j - keys[s] > i - queries[s]) continue;
          if (!mask.allowed.empty() && !mask.allowed[pair]) continue;
          const double weight =
              std::exp(q.row(i).segment(h * dk, dk).dot(k.row(j).segment(h * dk, dk)) /
                       std::sqrt(static_cast<double>(dk)));
          sum += weight;
          out += weight * v.row(j).segment(h * dv, dv);
        }
        if (sum > 0) y.row(i).segment(h * dv, dv) = out / sum;
      }
    }
  }
  return y;
}

}  // namespace

ECSEQ_GRADIENT_CASE(autograd::Attention) {
  const auto check = [](Index heads, Index dk, Index dv, const Offsets& queries,
                        const Offsets& keys, const AttentionMask& mask,
                        const AttentionDropout& dropout) {
    expect_gradients(
        {random_matrix(queries.back(), heads * dk, 1), random_matrix(keys.back(), heads * dk, 2),
         random_matrix(keys.back(), heads * dv, 3)},
        [&](Tape<double>&, const Nodes& in) {
          return autograd::attention(in[0], in[1], in[2], heads, queries, keys, mask, dropout);
        });
  };
  const Mask self = random_mask(9 + 1 + 25, 4), cross = random_mask(6 + 1, 5);
  check(2, 3, 2, kRows, kRows, {}, {});
  check(2, 3, 2, kRows, kRows, {true, {}}, {});
  check(3, 1, 1, kRows, kRows, {false, self}, {});
  check(1, 3, 2, kRows, kRows, {true, self}, {0.4, 11});
  check(2, 2, 3, kRows, kKeys, {}, {0.3, 12});
  check(2, 2, 3, kRows, kKeys, {false, cross}, {});
  check(1, 2, 2, {0, 1}, {0, 1}, {}, {});
  // One matrix in all three places.
  expect_gradients({random_matrix(9, 4, 6)}, [](Tape<double>&, const Nodes& in) {
    return autograd::attention(in[0], in[0], in[0], 2, kRows, kRows, {true, {}});
  });
}

namespace {

TEST(AttentionOperation, ValuesAreTheFormula) {
  const Mask self = random_mask(9 + 1 + 25, 4), cross = random_mask(6 + 1, 5);
  for (const Index heads : {1, 3}) {
    Tape<double> tape;
    const Input q = random_matrix(9, heads * 4, 1), k = random_matrix(9, heads * 4, 2);
    const Input v = random_matrix(9, heads * 5, 3);
    const Node a = tape.constant(q), b = tape.constant(k), c = tape.constant(v);
    for (const AttentionMask& mask : {AttentionMask{}, AttentionMask{true, {}},
                                      AttentionMask{false, self}, AttentionMask{true, self}}) {
      const Node y = autograd::attention(a, b, c, heads, kRows, kRows, mask);
      EXPECT_TRUE(y.value().isApprox(formula(q, k, v, heads, kRows, kRows, mask), 1e-12));
    }
    const Input fewer_k = k.topRows(7), fewer_v = v.topRows(7);
    const Node y = autograd::attention(a, tape.constant(fewer_k), tape.constant(fewer_v), heads,
                                       kRows, kKeys, {false, cross});
    EXPECT_TRUE(y.value().isApprox(
        formula(q, fewer_k, fewer_v, heads, kRows, kKeys, {false, cross}), 1e-12));
    EXPECT_EQ(y.value().bottomRows(5), Input::Zero(5, heads * 5));  // no keys at all
  }
}

TEST(AttentionOperation, ASequenceDoesNotDependOnItsBatch) {
  const Index lengths[]{17, 1, 64, 33};
  Offsets offsets{0};
  for (const Index length : lengths) offsets.push_back(offsets.back() + length);
  const Matrix<float> x = random_matrix(offsets.back(), 24, 1).cast<float>();
  Tape<float> tape;
  const auto all = tape.constant(x);
  const auto y = autograd::attention(all, all, all, 3, offsets, offsets, {true, {}});
  for (std::size_t s = 0; s < 4; ++s) {
    const Offsets alone{0, lengths[s]};
    const Matrix<float> own = x.middleRows(offsets[s], lengths[s]);
    const auto node = tape.constant(own);
    const auto single = autograd::attention(node, node, node, 3, alone, alone, {true, {}});
    EXPECT_EQ(Matrix<float>(y.value().middleRows(offsets[s], lengths[s])), single.value());
  }
}

TEST(AttentionOperation, BitsDoNotDependOnWhereMatricesLie) {
  const Offsets offsets{0, 17, 18, 51};
  testing::expect_same_wherever_inputs_lie(
      {random_matrix(51, 27, 1), random_matrix(51, 27, 2), random_matrix(51, 15, 3)},
      [&](Tape<double>&, const Nodes& in) {
        return autograd::attention(in[0], in[1], in[2], 3, offsets, offsets, {true, {}}, {0.1, 5});
      });
}

TEST(AttentionOperation, TheFutureDoesNotReachACausalQuery) {
  Tape<double> tape;
  Input x = random_matrix(6, 4, 1);
  const Offsets offsets{0, 6};
  const auto run = [&](const Input& input) {
    const Node node = tape.constant(input);
    return Input(autograd::attention(node, node, node, 2, offsets, offsets, {true, {}}).value());
  };
  const Input before = run(x);
  x.row(5).setConstant(9.0);
  const Input after = run(x);
  EXPECT_EQ(before.topRows(5), after.topRows(5));
  EXPECT_NE(before.row(5), after.row(5));
}

TEST(AttentionOperation, FiniteForHugeLogitsAndNaNForNaN) {
  Tape<float> tape;
  Matrix<float> x = Matrix<float>::Constant(4, 2, 1000.0F);
  const Offsets offsets{0, 2, 4};
  x(3, 0) = std::nanf("");
  const auto node = tape.constant(x);
  const auto y = autograd::attention(node, node, node, 1, offsets, offsets);
  EXPECT_EQ(Matrix<float>(y.value().topRows(2)), Matrix<float>::Constant(2, 2, 1000.0F));
  EXPECT_TRUE(std::isnan(y.value()(3, 0)));
}

TEST(AttentionOperation, DropoutKeepsTheMeanAndFollowsItsSeed) {
  const Index n = 200;
  Tape<double> tape;
  const Input q = Input::Zero(n, 4), v = Input::Ones(n, 4);
  const Offsets offsets{0, n};
  const auto run = [&](std::uint64_t seed) {
    return Input(autograd::attention(tape.constant(q), tape.constant(q), tape.constant(v), 2,
                                     offsets, offsets, {}, {0.25, seed})
                     .value());
  };
  const Input y = run(1);
  EXPECT_NEAR(y.mean(), 1.0, 0.02);
  EXPECT_EQ(y, run(1));
  EXPECT_NE(y, run(2));
  EXPECT_NE(y.col(0), y.col(2));  // heads are dropped independently
}

TEST(AttentionOperation, WrongArgumentsAreRefusedByName) {
  Tape<double> tape;
  const Node q = tape.constant(9, 4), k = tape.constant(7, 4), narrow = tape.constant(7, 2);
  const Offsets three{0, 3, 7};
  const Mask mask(5, 1);
  expect_refused([&] { autograd::attention(q, k, k, 3, kRows, kKeys); },
                 "heads: expected a divisor of the columns of q and v, 4 and 4, got 3");
  expect_refused([&] { autograd::attention(q, narrow, k, 2, kRows, kKeys); },
                 "k: expected shape [7, 4], got [7, 2]");
  expect_refused([&] { autograd::attention(q, k, q, 2, kRows, kKeys); },
                 "v: expected shape [7, 4], got [9, 4]");
  expect_refused([&] { autograd::attention(q, k, k, 2, kRows, kRows); },
                 "key_offsets[4]: expected the number of rows, 7, got 9");
  expect_refused([&] { autograd::attention(q, k, k, 2, kRows, three); },
                 "key_offsets: expected 5 values, got 3");
  expect_refused(
      [&] {
        autograd::attention(q, k, k, 2, kRows, kKeys, {true, {}});
      },
      "mask.causal: expected as many keys as queries, got 2 and 3 in sequence 0");
  expect_refused(
      [&] {
        autograd::attention(q, k, k, 2, kRows, kKeys, {false, mask});
      },
      "mask.allowed: expected 7 values, got 5");
  expect_refused(
      [&] {
        autograd::attention(q, k, k, 2, kRows, kKeys, {}, {1.0, 0});
      },
      "dropout.rate: expected a number in [0, 1), got 1.000000");
}

}  // namespace
}  // namespace ecseq
