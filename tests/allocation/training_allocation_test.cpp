// A step of training takes nothing from the heap once the tape has seen one of its size.

#include <gtest/gtest.h>

#include "counting_allocator.hpp"
#include "ecseq/autograd/operations.hpp"
#include "ecseq/core/rng.hpp"

namespace ecseq::autograd {
namespace {

Matrix<float> drawn(Index rows, Index cols, Rng& rng) {
  Matrix<float> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.uniform(-0.5, 0.5));
  return x;
}

/// A matrix of weights and its gradient.
struct Parameter {
  Matrix<float> value, gradient;
  Parameter(Index rows, Index cols, Rng& rng)
      : value(drawn(rows, cols, rng)), gradient(Matrix<float>::Zero(rows, cols)) {}
  Variable<float> on(Tape<float>& tape) { return tape.leaf(value, gradient.data()); }
};

/// A small recommender with an operation of every kind: item embeddings, a Transformer layer over
/// ragged histories, propagation along a graph, pooling, normalisation, and the losses.
class Network {
 public:
  static constexpr Index kItems = 50, kWidth = 8, kSequences = 6;

  Network() {
    for (Index s = 0; s < kSequences; ++s) offsets_.push_back(offsets_.back() + 1 + 3 * s);
    for (Index i = 0; i < offsets_.back(); ++i) items_.push_back(rng_.below(kItems));
    for (Index s = 0; s < kSequences; ++s) {
      positives_.push_back(rng_.below(kItems));
      users_.push_back(s / 2);
      margins_.push_back(0.1F);
      edges_.push_back(s);
      targets_(s, 0) = static_cast<float>(s % 2);
      classes_(s, s % 3) = 1.0F;
    }
    mask_.assign(kSequences * 3, 1);
    mask_[4] = 0;
  }

  /// Forward, backward, reset; the loss.
  float step() {
    sparse_.clear();
    Rng rng(3);
    const std::span<const Index> offsets(offsets_), positives(positives_);
    auto x = embedding<float>(tape_, table_, items_, &sparse_);
    x = batch_norm(x, gain_.on(tape_), bias_.on(tape_), 1e-5, {mean_.data(), variance_.data()});
    const auto projected = matmul(x, projection_.on(tape_));
    const auto q = slice_columns(projected, 0, kWidth),
               k = slice_columns(projected, kWidth, kWidth);
    const auto v = slice_columns(projected, 2 * kWidth, kWidth);
    const auto attended = attention(q, k, v, 2, offsets, offsets, {true, {}}, {0.1, rng.next()});
    x = layer_norm(add(x, dropout(attended, 0.1, rng)), gain_.on(tape_), bias_.on(tape_));
    const auto scores = linear(tanh(x), score_.on(tape_), score_bias_.on(tape_));
    const auto weighted = multiply_rows(gelu(x), segment_softmax(scores, offsets));
    auto pooled = add(segment_sum(weighted, offsets), segment_mean(leaky_relu(x, 0.1F), offsets));
    pooled = add(pooled, segment_max(relu(x), offsets));
    const auto neighbours =
        sparse_dense({edge_offsets_, edges_}, exp(edge_.on(tape_)), sigmoid(pooled));
    const auto users = l2_normalise_rows(subtract(pooled, scale(neighbours, 0.5F)));
    const auto near = embedding<float>(tape_, table_, positives, &sparse_);
    const auto far = gather_rows(near, std::span<const Index>(order_));
    const auto spread = scatter_add_rows(multiply(near, far), std::span<const Index>(order_), 6);
    const auto relations = batched_matmul_transposed(users, near, 2);
    const auto mixed = batched_matmul(masked_softmax(relations, mask_), users, 2);
    const auto logits = slice_columns(concat_columns({users, mixed, spread}), 0, 3);
    const auto p = row_dot(users, near), n = row_dot(users, far);
    auto loss = cross_entropy(logits, classes_, nullptr);
    loss = add(loss, binary_cross_entropy(p, targets_, nullptr));
    loss = add(loss, squared_error(p, targets_, nullptr));
    loss = add(loss, huber(n, targets_, nullptr));
    loss = add(loss, bpr(p, n, nullptr));
    loss = add(loss, triplet_hinge(n, p, margins_, nullptr));
    loss = add_scaled(loss, nt_xent(users, mixed, 0.5, users_, nullptr), 0.05F);
    tape_.backward(loss);
    const float value = loss.value()(0, 0);
    tape_.reset();
    return value;
  }

  const Parameter& projection() const { return projection_; }
  const RowGradients<float>& table_gradient() const { return sparse_; }

 private:
  Rng rng_{1};
  Tape<float> tape_;
  Matrix<float> table_ = drawn(kItems, kWidth, rng_);
  RowGradients<float> sparse_{kWidth};
  Parameter projection_{kWidth, 3 * kWidth, rng_}, gain_{1, kWidth, rng_}, bias_{1, kWidth, rng_};
  Parameter score_{kWidth, 1, rng_}, score_bias_{1, 1, rng_}, edge_{kSequences, 1, rng_};
  Matrix<float> mean_{1, kWidth}, variance_{1, kWidth};
  std::vector<Index> offsets_{0}, items_, positives_, users_, edges_;
  std::vector<Index> edge_offsets_{0, 2, 2, 3, 4, 5, 6}, order_{5, 3, 0, 1, 2, 4};
  std::vector<float> margins_;
  std::vector<std::uint8_t> mask_;
  Matrix<float> targets_{kSequences, 1};
  Matrix<float> classes_ = Matrix<float>::Zero(kSequences, 3);
};

TEST(Allocation, TheCountersCount) {
  long before = allocations;
  ::operator delete(::operator new(10));
  EXPECT_EQ(allocations, before + 1);
  before = allocations;
  Matrix<float> x(100, 100);
  x(0, 0) = 1.0F;
  EXPECT_GE(allocations, before + 1);
}

TEST(Allocation, AStepOfTrainingTakesNothingFromTheHeapAfterTheFirst) {
  Network network;
  const float first = network.step();
  EXPECT_TRUE(std::isfinite(first));
  EXPECT_GT(network.projection().gradient.norm(), 0.0F);
  EXPECT_FALSE(network.table_gradient().rows().empty());
  // Rows are merged through two buffers, which change places: both have grown after two steps.
  network.step();
  const long before = allocations;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(network.step(), first);
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace ecseq::autograd
