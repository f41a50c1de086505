#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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
using Offsets = std::vector<Index>;

namespace {

/// Empty segments at both ends and inside, segments of one row.
const Offsets kRagged{0, 0, 3, 4, 4, 9, 9};

using SegmentOperation = Node (*)(Node, std::span<const Index>);

void expect_segment_gradients(SegmentOperation operation) {
  for (const Index cols : {1, 3}) {
    expect_gradients({random_matrix(9, cols, 1)},
                     [&](Tape<double>&, const Nodes& in) { return operation(in[0], kRagged); });
  }
  const Offsets one{0, 1};
  expect_gradients({random_matrix(1, 4, 2)},
                   [&](Tape<double>&, const Nodes& in) { return operation(in[0], one); });
}

}  // namespace

ECSEQ_GRADIENT_CASE(autograd::SegmentSum) {
  expect_segment_gradients(autograd::segment_sum<double>);
}
ECSEQ_GRADIENT_CASE(autograd::SegmentMean) {
  expect_segment_gradients(autograd::segment_mean<double>);
}
ECSEQ_GRADIENT_CASE(autograd::SegmentMax) {
  expect_segment_gradients(autograd::segment_max<double>);
}
ECSEQ_GRADIENT_CASE(autograd::SegmentSoftmax) {
  expect_segment_gradients(autograd::segment_softmax<double>);
}

ECSEQ_GRADIENT_CASE(autograd::MaskedSoftmax) {
  const std::vector<std::uint8_t> mask{1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1};
  expect_gradients({random_matrix(4, 4, 1)}, [&](Tape<double>&, const Nodes& in) {
    return autograd::masked_softmax(in[0], std::span<const std::uint8_t>(mask));
  });
  for (const Index cols : {1, 5}) {
    expect_gradients({random_matrix(3, cols, 2)},
                     [](Tape<double>&, const Nodes& in) { return autograd::softmax(in[0]); });
  }
}

namespace {

TEST(SegmentOperations, ValuesAreTheFormulas) {
  Tape<double> tape;
  const Input x = random_matrix(9, 3, 3);
  const Node node = tape.constant(x);
  const std::span<const Index> offsets(kRagged);
  const Node sum = autograd::segment_sum(node, offsets),
             mean = autograd::segment_mean(node, offsets);
  const Node max = autograd::segment_max(node, offsets);
  const Node softmax = autograd::segment_softmax(node, offsets);
  ASSERT_EQ(sum.rows(), 6);
  for (Index s = 0; s < 6; ++s) {
    const Index begin = kRagged[static_cast<std::size_t>(s)];
    const Index count = kRagged[static_cast<std::size_t>(s) + 1] - begin;
    for (Index j = 0; j < 3; ++j) {
      if (count == 0) {
        EXPECT_EQ(sum.value()(s, j), 0.0);
        EXPECT_EQ(mean.value()(s, j), 0.0);
        EXPECT_EQ(max.value()(s, j), 0.0);
        continue;
      }
      const auto rows = x.col(j).segment(begin, count);
      EXPECT_NEAR(sum.value()(s, j), rows.sum(), 1e-13);
      EXPECT_NEAR(mean.value()(s, j), rows.mean(), 1e-13);
      EXPECT_EQ(max.value()(s, j), rows.maxCoeff());
      const double total = rows.array().exp().sum();
      for (Index i = begin; i < begin + count; ++i) {
        EXPECT_NEAR(softmax.value()(i, j), std::exp(x(i, j)) / total, 1e-14);
      }
    }
  }
}

TEST(SegmentOperations, NoSegmentsAndNoRows) {
  Tape<double> tape;
  const Node none = tape.constant(0, 3);
  const Offsets zero{0}, empty{0, 0};
  EXPECT_EQ(autograd::segment_sum(none, std::span<const Index>(zero)).rows(), 0);
  EXPECT_EQ(autograd::segment_mean(none, std::span<const Index>(empty)).value(), Input::Zero(1, 3));
  EXPECT_EQ(autograd::segment_softmax(none, std::span<const Index>(empty)).rows(), 0);
}

TEST(SegmentOperations, MaximumTakesTheFirstOfEqualsAndKeepsNaN) {
  Tape<double> tape;
  const Input x = (Input(3, 2) << 1, 2, 1, std::nan(""), 0, 5).finished();
  Input gradient = Input::Zero(3, 2);
  const Offsets offsets{0, 3};
  const Node y =
      autograd::segment_max(tape.leaf(x, gradient.data()), std::span<const Index>(offsets));
  EXPECT_EQ(y.value()(0, 0), 1.0);
  EXPECT_EQ(autograd::segment_max(autograd::slice_rows(tape.constant(x), 0, 2),
                                  std::span<const Index>(Offsets{0, 2}))
                .value()(0, 0),
            1.0);
  tape.backward(autograd::slice_columns(y, 0, 1));
  EXPECT_EQ(gradient(0, 0), 1.0);
  EXPECT_EQ(gradient(1, 0), 0.0);
  const Input last = (Input(2, 1) << 1, std::nan("")).finished();
  const Offsets two{0, 2};
  EXPECT_TRUE(std::isnan(
      autograd::segment_max(tape.constant(last), std::span<const Index>(two)).value()(0, 0)));
}

TEST(SegmentOperations, SoftmaxIsFiniteForHugeInput) {
  Tape<float> tape;
  const Matrix<float> x = (Matrix<float>(3, 1) << 1000, 1000, -1000).finished();
  const Offsets offsets{0, 3};
  const auto by_segment =
      autograd::segment_softmax(tape.constant(x), std::span<const Index>(offsets));
  const Matrix<float> row = x.transpose();
  const auto by_row = autograd::softmax(tape.constant(row));
  const Matrix<float> expected = (Matrix<float>(1, 3) << 0.5F, 0.5F, 0).finished();
  EXPECT_EQ(Matrix<float>(by_segment.value().transpose()), expected);
  EXPECT_EQ(by_row.value(), expected);
}

TEST(SegmentOperations, MaskedSoftmaxIsTheSoftmaxOfWhatIsLeft) {
  Tape<double> tape;
  Input x = random_matrix(3, 4, 1);
  x(0, 1) = std::numeric_limits<double>::infinity();  // masked: must not matter
  const std::vector<std::uint8_t> mask{1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1};
  const auto y = autograd::masked_softmax(tape.constant(x), std::span<const std::uint8_t>(mask));
  for (Index i = 0; i < 3; ++i) {
    double total = 0.0;
    for (Index j = 0; j < 4; ++j) {
      if (mask[static_cast<std::size_t>(4 * i + j)]) total += std::exp(x(i, j));
    }
    for (Index j = 0; j < 4; ++j) {
      const bool allowed = mask[static_cast<std::size_t>(4 * i + j)];
      EXPECT_NEAR(y.value()(i, j), allowed ? std::exp(x(i, j)) / total : 0.0, 1e-15);
    }
  }
}

TEST(SegmentOperations, WrongArgumentsAreRefusedByName) {
  Tape<double> tape;
  const Node x = tape.constant(4, 3);
  const auto sum = [&](Offsets offsets) {
    autograd::segment_sum(x, std::span<const Index>(offsets));
  };
  expect_refused([&] { sum({}); }, "offsets: expected one value more than segments, got none");
  expect_refused([&] { sum({1, 4}); }, "offsets[0]: expected 0, got 1");
  expect_refused([&] { sum({0, 3, 2, 4}); }, "offsets[2]: expected at least 3, got 2");
  expect_refused([&] { sum({0, 3}); }, "offsets[1]: expected the number of rows, 4, got 3");
  const std::vector<std::uint8_t> mask(11, 1);
  expect_refused([&] { autograd::masked_softmax(x, std::span<const std::uint8_t>(mask)); },
                 "mask: expected 12 values, got 11");
}

}  // namespace
}  // namespace ecseq
