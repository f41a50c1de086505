#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "ecseq/autograd/operations/segments.hpp"
#include "ecseq/core/rng.hpp"

namespace ecseq::autograd {

/// Which keys a query may attend to, besides being of its own sequence.
struct AttentionMask {
  bool causal = false;  ///< keys up to the query's own position; as many keys as queries
  /// Empty (all), or 1 where allowed: [queries, keys] of the first sequence, then of the second,
  /// ...
  std::span<const std::uint8_t> allowed;
};

/// Weights are dropped at random while training; the same are dropped in the backward pass.
struct AttentionDropout {
  double rate = 0.0;  ///< in [0, 1)
  std::uint64_t seed = 0;
};

/// Multi-head attention over ragged sequences (Vaswani et al. 2017). For each sequence and head h,
/// with Q, K, V its rows and the columns of the head:
///   Y = P V,  P = softmax over the allowed keys of Q K' / sqrt(columns of Q)
/// A query without an allowed key gives zeros. Takes memory for the weights of one sequence and
/// head at a time: the backward pass computes them again from the logarithm of each row's sum.
/// q: [nq, heads dk], k: [nk, heads dk], v: [nk, heads dv], y: [nq, heads dv]; offsets and mask are
/// read again by the backward pass
template <class Scalar>
class Attention final : public Operation<Scalar> {
 public:
  using V = Variable<Scalar>;
  Attention(V q, V k, V v, Index heads, Segments queries, Segments keys, const AttentionMask& mask,
            const AttentionDropout& dropout)
      : q_(q),
        k_(k),
        v_(v),
        heads_(heads),
        queries_(queries),
        keys_(keys),
        mask_(mask),
        dropout_(dropout) {}

  void forward(Values<Scalar> y) override {
    log_sums_ = q_.tape().scratch(heads_ * q_.rows());
    allocate();
    for_each_head([&](const Head& head) {
      load(head);
      logits(head);
      normalise(head);
      drop(head, weights_);
      Values<Scalar> out(product_, head.n_queries, value_size());
      out.noalias() = weights(head) * matrix(values_, head.n_keys, value_size());
      y.block(head.query, head.head * value_size(), out.rows(), out.cols()) = out;
    });
  }

  // With M the dropout's mask (0 or 1 / (1 - rate)) and D_i = dy_i . y_i:
  //   dV = (P M)' dY,  dS = P ((dY V') M - D),  dQ = dS K / sqrt(dk),  dK = dS' Q / sqrt(dk)
  void backward(ConstValues<Scalar> y, ConstValues<Scalar> dy) override {
    auto& tape = q_.tape();
    Scalar* dout = tape.scratch(longest(queries_) * value_size());
    Scalar* dweights = tape.scratch(most_weights());
    for_each_head([&](const Head& head) {
      load(head);
      logits(head);
      restore(head);
      const Index rows = head.n_queries, keys = head.n_keys;
      copy(ConstValues<Scalar>(dy), head.query, rows, head.head * value_size(), value_size(), dout);
      const Values<Scalar> d = matrix(dout, rows, value_size());
      Values<Scalar> ds(dweights, rows, keys);
      ds.noalias() = d * matrix(values_, keys, value_size()).transpose();
      drop(head, dweights);
      for (Index i = 0; i < rows; ++i) {
        const Scalar* out = y.data() + (head.query + i) * y.cols() + head.head * value_size();
        Scalar along = 0;
        for (Index j = 0; j < value_size(); ++j) along += d(i, j) * out[j];
        for (Index j = 0; j < keys; ++j) {
          ds(i, j) = weights_[i * keys + j] * (ds(i, j) - along) * scaling();
        }
      }
      if (v_.needs_gradient()) {
        drop(head, weights_);
        Values<Scalar> dv(product_, keys, value_size());
        dv.noalias() = weights(head).transpose() * d;
        v_.gradient().block(head.key, head.head * value_size(), keys, value_size()) += dv;
      }
      if (q_.needs_gradient()) {
        Values<Scalar> dq(product_, rows, key_size());
        dq.noalias() = ds * matrix(keys_values_, keys, key_size());
        q_.gradient().block(head.query, head.head * key_size(), rows, key_size()) += dq;
      }
      if (k_.needs_gradient()) {
        Values<Scalar> dk(product_, keys, key_size());
        dk.noalias() = ds.transpose() * matrix(queries_values_, rows, key_size());
        k_.gradient().block(head.key, head.head * key_size(), keys, key_size()) += dk;
      }
    });
  }

 private:
  static constexpr Scalar kForbidden = -std::numeric_limits<Scalar>::infinity();

  /// One head of one sequence.
  struct Head {
    Index sequence, head;
    Index query, n_queries;  ///< its rows of q and y
    Index key, n_keys;       ///< its rows of k and v
    Index mask;              ///< where its part of `allowed` begins
  };

  template <class Body>
  void for_each_head(const Body& body) const {
    Index mask = 0;
    for (Index s = 0; s < queries_.size(); ++s) {
      const Index rows = queries_.length(s), keys = keys_.length(s);
      for (Index h = 0; h < heads_ && rows > 0; ++h) {
        body(Head{s, h, queries_.begin(s), rows, keys_.begin(s), keys, mask});
      }
      mask += rows * keys;
    }
  }

  Index key_size() const { return q_.cols() / heads_; }
  Index value_size() const { return v_.cols() / heads_; }
  Scalar scaling() const { return Scalar(1) / std::sqrt(static_cast<Scalar>(key_size())); }
  static Values<Scalar> matrix(Scalar* data, Index rows, Index cols) { return {data, rows, cols}; }
  Values<Scalar> weights(const Head& head) const { return {weights_, head.n_queries, head.n_keys}; }
  /// Keys that query i may see as far as order goes: the first ones.
  Index visible(const Head& head, Index i) const { return mask_.causal ? i + 1 : head.n_keys; }
  /// Row i of the given mask: [keys], or null
  const std::uint8_t* mask_row(const Head& head, Index i) const {
    return mask_.allowed.empty() ? nullptr : mask_.allowed.data() + head.mask + i * head.n_keys;
  }

  /// Most weights of a head.
  Index most_weights() const {
    Index most = 0;
    for (Index s = 0; s < queries_.size(); ++s) {
      most = std::max(most, queries_.length(s) * keys_.length(s));
    }
    return most;
  }
  static Index longest(const Segments& segments) {
    Index most = 0;
    for (Index s = 0; s < segments.size(); ++s) most = std::max(most, segments.length(s));
    return most;
  }

  /// One head's matrices lie one after the other in tape memory: products read them whole, and
  /// their bits do not depend on where the caller's lie.
  void allocate() {
    auto& tape = q_.tape();
    const Index n_queries = longest(queries_), n_keys = longest(keys_);
    queries_values_ = tape.scratch(n_queries * key_size());
    keys_values_ = tape.scratch(n_keys * key_size());
    values_ = tape.scratch(n_keys * value_size());
    product_ = tape.scratch(std::max(n_queries, n_keys) * std::max(key_size(), value_size()));
    weights_ = tape.scratch(most_weights());
  }
  template <class Map>
  static void copy(const Map& from, Index row, Index rows, Index column, Index cols, Scalar* to) {
    for (Index i = 0; i < rows; ++i) {
      std::copy_n(from.data() + (row + i) * from.cols() + column, cols, to + i * cols);
    }
  }
  void load(const Head& head) {
    const Index key_column = head.head * key_size(), value_column = head.head * value_size();
    copy(q_.value(), head.query, head.n_queries, key_column, key_size(), queries_values_);
    copy(k_.value(), head.key, head.n_keys, key_column, key_size(), keys_values_);
    copy(v_.value(), head.key, head.n_keys, value_column, value_size(), values_);
  }
  /// weights = Q K' / sqrt(dk), -inf where the given mask forbids
  void logits(const Head& head) {
    weights(head).noalias() = matrix(queries_values_, head.n_queries, key_size()) *
                              matrix(keys_values_, head.n_keys, key_size()).transpose();
    for (Index i = 0; i < head.n_queries; ++i) {
      Scalar* row = weights_ + i * head.n_keys;
      for (Index j = 0; j < head.n_keys; ++j) row[j] *= scaling();
      if (const auto* allowed = mask_row(head, i)) {
        for (Index j = 0; j < head.n_keys; ++j) row[j] = allowed[j] ? row[j] : kForbidden;
      }
    }
  }
  Scalar& log_sum(const Head& head, Index i) {
    return log_sums_[head.head * q_.rows() + head.query + i];
  }

  /// Logits to weights, keeping log sum exp of each row. exp(s - largest) cannot overflow.
  void normalise(const Head& head) {
    for (Index i = 0; i < head.n_queries; ++i) {
      Scalar* row = weights_ + i * head.n_keys;
      Scalar largest = kForbidden, sum = 0;
      for (Index j = 0; j < visible(head, i); ++j) largest = row[j] > largest ? row[j] : largest;
      exponentials(head, i, largest);
      for (Index j = 0; j < visible(head, i); ++j) sum += row[j];
      log_sum(head, i) = largest + std::log(sum);
      if (sum == Scalar(0)) continue;
      for (Index j = 0; j < visible(head, i); ++j) row[j] /= sum;
    }
  }
  /// Logits to weights, from what `normalise` kept.
  void restore(const Head& head) {
    for (Index i = 0; i < head.n_queries; ++i) exponentials(head, i, log_sum(head, i));
  }
  /// exp(s - shift) of row i, 0 where a key is forbidden. Eigen's exp clamps: it knows neither NaN
  /// nor an exact 0.
  void exponentials(const Head& head, Index i, Scalar shift) {
    Scalar* row = weights_ + i * head.n_keys;
    const Index count = visible(head, i);
    bool is_nan = shift != shift;
    for (Index j = 0; j < count; ++j) is_nan |= row[j] != row[j];
    Eigen::Map<Eigen::Array<Scalar, 1, Eigen::Dynamic>> e(row, count);
    if (is_nan) {
      e.setConstant(std::numeric_limits<Scalar>::quiet_NaN());
    } else {
      e = (e - shift).exp();
    }
    std::fill(row + count, row + head.n_keys, Scalar(0));
    if (const auto* allowed = mask_row(head, i)) {
      for (Index j = 0; j < count; ++j) row[j] = allowed[j] ? row[j] : Scalar(0);
    }
  }
  /// x *= M.  x: [queries, keys] of the head
  void drop(const Head& head, Scalar* x) const {
    if (dropout_.rate == 0.0) return;
    Rng rng(dropout_.seed, static_cast<std::uint64_t>(head.sequence * heads_ + head.head));
    const auto kept = static_cast<Scalar>(1.0 / (1.0 - dropout_.rate));
    for (Index i = 0; i < head.n_queries * head.n_keys; ++i) {
      x[i] *= rng.uniform() < dropout_.rate ? Scalar(0) : kept;
    }
  }

  V q_, k_, v_;
  Index heads_;
  Segments queries_, keys_;
  AttentionMask mask_;
  AttentionDropout dropout_;
  Scalar* log_sums_ = nullptr;        ///< [heads, nq]
  Scalar* queries_values_ = nullptr;  ///< Q of one head
  Scalar* keys_values_ = nullptr;     ///< K
  Scalar* values_ = nullptr;          ///< V
  Scalar* weights_ = nullptr;         ///< logits, then P
  Scalar* product_ = nullptr;         ///< a result before it is copied or added to its place
};

/// query_offsets, key_offsets: [sequences + 1]; the same for self-attention.
template <class Scalar>
Variable<Scalar> attention(Variable<Scalar> q, Variable<Scalar> k, Variable<Scalar> v, Index heads,
                           std::span<const Index> query_offsets, std::span<const Index> key_offsets,
                           const AttentionMask& mask = {}, const AttentionDropout& dropout = {}) {
  if (heads < 1 || q.cols() % heads != 0 || v.cols() % heads != 0 || q.cols() == 0) {
    throw InvalidArgument("heads: expected a divisor of the columns of q and v, " +
                          std::to_string(q.cols()) + " and " + std::to_string(v.cols()) + ", got " +
                          std::to_string(heads));
  }
  require_shape(k, k.rows(), q.cols(), "k");
  require_shape(v, k.rows(), v.cols(), "v");
  const Segments queries = require_segments(query_offsets, q.rows(), "query_offsets");
  const Segments keys = require_segments(key_offsets, k.rows(), "key_offsets");
  require_count(key_offsets.size(), queries.size() + 1, "key_offsets");
  Index pairs = 0;
  for (Index s = 0; s < queries.size(); ++s) {
    pairs += queries.length(s) * keys.length(s);
    if (mask.causal && queries.length(s) != keys.length(s)) {
      throw InvalidArgument(
          "mask.causal: expected as many keys as queries, got " + std::to_string(keys.length(s)) +
          " and " + std::to_string(queries.length(s)) + " in sequence " + std::to_string(s));
    }
  }
  if (!mask.allowed.empty()) require_count(mask.allowed.size(), pairs, "mask.allowed");
  if (!(dropout.rate >= 0.0 && dropout.rate < 1.0)) {
    throw InvalidArgument("dropout.rate: expected a number in [0, 1), got " +
                          std::to_string(dropout.rate));
  }
  return q.tape().template apply<Attention<Scalar>>(
      q.rows(), v.cols(), q.needs_gradient() || k.needs_gradient() || v.needs_gradient(), q, k, v,
      heads, queries, keys, mask, dropout);
}

}  // namespace ecseq::autograd
