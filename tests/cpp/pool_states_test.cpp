#include "ecseq/nn/pool_states.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "gradient_case.hpp"

namespace ecseq {
namespace {

using nn::Pooling;
using testing::expect_gradients;
using testing::Input;
using testing::Node;

/// Sequences of 3, 1 and 2 events; the states are rows 0-2, 3 and 4-5 of the table.
struct Batch {
  Sequences sequences{Matrix<float>::Zero(6, 1), {0, 3, 4, 6}};
  std::vector<Index> rows{0, 1, 2};
};

template <class Scalar>
Matrix<Scalar> pooled(const Matrix<Scalar>& states, Pooling pooling) {
  const Batch batch;
  autograd::Tape<Scalar> tape;
  return nn::pool_states<Scalar>(nn::recurrent_batch(tape, batch.sequences.view(), batch.rows),
                                 tape.constant(states), pooling)
      .value();
}

TEST(PoolStates, MeanAndMaximumOverEachSequencesEvents) {
  Matrix<float> states(6, 2), mean(3, 2), maximum(3, 2);
  states << 1, -1, 2, -2, 6, -6, 4, 5, -1, 8, -3, 9;
  mean << 3, -3, 4, 5, -2, 8.5F;
  maximum << 6, -1, 4, 5, -1, 9;
  EXPECT_EQ(pooled(states, Pooling::kMean), mean);
  EXPECT_EQ(pooled(states, Pooling::kMax), maximum);
}

TEST(PoolStates, NaNStaysInItsSequence) {
  Matrix<float> states = Matrix<float>::Ones(6, 2);
  states(1, 0) = std::numeric_limits<float>::quiet_NaN();
  for (const Pooling pooling : {Pooling::kMean, Pooling::kMax}) {
    const Matrix<float> got = pooled(states, pooling);
    EXPECT_TRUE(std::isnan(got(0, 0)));
    EXPECT_EQ(got(0, 1), 1.0F);
    EXPECT_EQ(got.bottomRows(2), Matrix<float>::Ones(2, 2));
  }
}

}  // namespace

ECSEQ_GRADIENT_CASE(nn::PoolStates) {
  const Batch batch;
  for (const Pooling pooling : {Pooling::kMean, Pooling::kMax}) {
    expect_gradients({testing::random_matrix(6, 3, 1)}, [&](autograd::Tape<double>& tape,
                                                            const std::vector<Node>& in) {
      return nn::pool_states<double>(nn::recurrent_batch(tape, batch.sequences.view(), batch.rows),
                                     in[0], pooling);
    });
  }
}

namespace {

TEST(PoolStates, WrongShapeIsRefusedByName) {
  try {
    pooled<float>(Matrix<float>::Zero(5, 2), Pooling::kMean);
    FAIL() << "accepted";
  } catch (const InvalidArgument& error) {
    EXPECT_STREQ(error.what(), "states: expected shape [6, 2], got [5, 2]");
  }
}

}  // namespace
}  // namespace ecseq
