#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "ecseq/autograd/operations/segments.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/kernels/attention.hpp"

namespace ecseq::autograd::inline ECSEQ_LEVEL {

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

/// Columns [first, first + count) of a matrix on the tape.
template <class Scalar>
struct AttentionColumns {
  Variable<Scalar> x;
  Index first = 0;
  Index count = 0;
};

/// Multi-head attention over ragged sequences (Vaswani et al. 2017). For each sequence and head h,
/// with Q, K, V its rows and the columns of the head:
///   Y = P V,  P = softmax over the allowed keys of Q K' / sqrt(columns of Q)
/// A query without an allowed key gives zeros. Takes memory for the weights of one sequence and
/// head at a time: the backward pass computes them again from each row's largest logit and sum.
/// q: [nq, heads dk], k: [nk, heads dk], v: [nk, heads dv], which may be columns of one matrix,
/// y: [nq, heads dv]; offsets and mask are read again by the backward pass
template <class Scalar>
class Attention final : public Operation<Scalar> {
 public:
  using Columns = AttentionColumns<Scalar>;
  Attention(Columns q, Columns k, Columns v, Index heads, Segments queries, Segments keys,
            const AttentionMask& mask, const AttentionDropout& dropout)
      : q_(q),
        k_(k),
        v_(v),
        heads_(heads),
        queries_(queries),
        keys_(keys),
        mask_(mask),
        dropout_(dropout) {}

  void forward(Values<Scalar> y) override {
    auto& tape = q_.x.tape();
    rows_ = tape.template scratch_of<Row>(heads_ * q_.x.rows());
    packed_keys_ = tape.scratch(padded(longest(keys_)) * key_size());
    weights_ = tape.scratch(longest(queries_) * padded(longest(keys_)));
    Scalar* const values = tape.scratch(longest(keys_) * padded(value_size()));
    for_each_head([&](const Head& head) {
      logits(head);
      for (Index i = 0; i < head.n_queries; ++i) exponentiate(head, i);
      drop(head, weights_);
      copy_rows(value_rows(v_, head.key, head.head), v_.x.cols(), head.n_keys, value_size(),
                values);
      for_each_query_block(head, [&](Index first, Index end, Index visible) {
        times(head, first, end, visible, weights_, values, value_size(),
              [&](Index row, Index column, Index count, V sum) {
                Scalar* out =
                    y.data() + (head.query + row) * y.cols() + head.head * value_size() + column;
                kernels::store_first<Scalar>(
                    out, sum * kernels::broadcast(row_of(head, row).inverse), count);
              });
      });
    });
  }

  // With M the dropout's mask (0 or 1 / (1 - rate)) and D_i = dy_i . y_i:
  //   dV = (P M)' dY,  dS = P ((dY V') M - D),  dQ = dS K / sqrt(dk),  dK = dS' Q / sqrt(dk)
  void backward(ConstValues<Scalar> y, ConstValues<Scalar> dy) override {
    auto& tape = q_.x.tape();
    const Index n_queries = longest(queries_), n_keys = longest(keys_);
    Scalar* const packed_values = tape.scratch(padded(n_keys) * value_size());
    Scalar* const dweights = tape.scratch(n_queries * padded(n_keys));
    Scalar* const right =
        tape.scratch(std::max(n_queries, n_keys) * padded(std::max(key_size(), value_size())));
    for_each_head([&](const Head& head) {
      const Index column = head.head * value_size();
      const Scalar* const dout = dy.data() + head.query * dy.cols() + column;
      const Scalar* const out = y.data() + head.query * y.cols() + column;
      logits(head);
      for (Index i = 0; i < head.n_queries; ++i) restore(head, i);
      kernels::pack_transpose(value_rows(v_, head.key, head.head), v_.x.cols(), head.n_keys,
                              value_size(), packed_values);
      scores(head, {dout, dy.cols()}, packed_values, value_size(), dweights);
      drop(head, dweights);
      for (Index i = 0; i < head.n_queries; ++i) {
        const Scalar along = dot(dout + i * dy.cols(), out + i * y.cols(), value_size());
        logit_gradients(head, i, along, dweights + i * padded(head.n_keys));
      }
      if (v_.x.needs_gradient()) {
        drop(head, weights_);
        copy_rows(dout, dy.cols(), head.n_queries, value_size(), right);
        transposed_times(head, weights_, right, value_size(), v_);
      }
      if (k_.x.needs_gradient()) {
        copy_rows(value_rows(q_, head.query, head.head), q_.x.cols(), head.n_queries, key_size(),
                  right);
        transposed_times(head, dweights, right, key_size(), k_);
      }
      if (q_.x.needs_gradient()) {
        copy_rows(value_rows(k_, head.key, head.head), k_.x.cols(), head.n_keys, key_size(), right);
        for_each_query_block(head, [&](Index first, Index end, Index visible) {
          times(head, first, end, visible, dweights, right, key_size(),
                [&](Index row, Index at, Index count, V sum) {
                  kernels::add_first<Scalar>(gradient_rows(q_, head.query + row, head.head) + at,
                                             sum, count);
                });
        });
      }
    });
  }

 private:
  using V = kernels::Vec<Scalar>;
  static constexpr Scalar kForbidden = -std::numeric_limits<Scalar>::infinity();
  static constexpr Index kWidth = kernels::kLanes<Scalar>;

  /// One head of one sequence.
  struct Head {
    Index sequence, head;
    Index query, n_queries;  ///< its rows of q and y
    Index key, n_keys;       ///< its rows of k and v
    Index mask;              ///< where its part of `allowed` begins
  };
  /// What is kept of a query's logits: P = exp((s - largest) / sqrt(dk)) inverse.
  struct Row {
    Scalar largest;
    Scalar inverse;  ///< 1 / sum; 0 of a query without an allowed key
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

  /// Blocks [first, end) of `count` rows: all or, causal, few, whose products then leave out most
  /// of what the mask hides.
  template <class Body>
  void for_each_block(Index count, const Body& body) const {
    constexpr Index kCausalRows = 24;
    const Index blocks = mask_.causal ? (count + kCausalRows - 1) / kCausalRows : 1;
    for (Index b = 0; b < blocks; ++b) body(b * count / blocks, (b + 1) * count / blocks);
  }
  /// body(first, end, keys that some query of the block sees)
  template <class Body>
  void for_each_query_block(const Head& head, const Body& body) const {
    for_each_block(head.n_queries, [&](Index first, Index end) {
      body(first, end, mask_.causal ? end : head.n_keys);
    });
  }

  static Index padded(Index n) { return kernels::round_up<Scalar>(n); }
  Index key_size() const { return q_.count / heads_; }
  Index value_size() const { return v_.count / heads_; }
  Scalar scaling() const { return Scalar(1) / std::sqrt(static_cast<Scalar>(key_size())); }
  /// Keys that query i may see as far as order goes: the first ones.
  Index visible(const Head& head, Index i) const { return mask_.causal ? i + 1 : head.n_keys; }
  /// Row i of the given mask: [keys], or null
  const std::uint8_t* mask_row(const Head& head, Index i) const {
    return mask_.allowed.empty() ? nullptr : mask_.allowed.data() + head.mask + i * head.n_keys;
  }
  static Index longest(const Segments& segments) {
    Index most = 0;
    for (Index s = 0; s < segments.size(); ++s) most = std::max(most, segments.length(s));
    return most;
  }

  /// Where a head's columns begin in a row.
  const Scalar* value_rows(const Columns& of, Index row, Index head) const {
    return of.x.value().data() + row * of.x.cols() + of.first + head * (of.count / heads_);
  }
  Scalar* gradient_rows(const Columns& of, Index row, Index head) const {
    return of.x.gradient().data() + row * of.x.cols() + of.first + head * (of.count / heads_);
  }
  /// to: [rows, padded(cols)], its padding zeros
  static void copy_rows(const Scalar* from, Index stride, Index rows, Index cols, Scalar* to) {
    for (Index i = 0; i < rows; ++i, from += stride, to += padded(cols)) {
      std::fill(std::copy_n(from, cols, to), to + padded(cols), Scalar(0));
    }
  }
  static Scalar dot(const Scalar* a, const Scalar* b, Index size) {
    V sum{};
    kernels::for_each_vector<Scalar>(size, [&](Index j, Index count) {
      sum = kernels::fma(kernels::load_first(a + j, count), kernels::load_first(b + j, count), sum);
    });
    return kernels::sum_of_lanes<Scalar>(sum);
  }

  /// to = left packed', of the keys that a block sees.  left: rows of the head's queries,
  /// packed: of its keys, `size` columns both; to: [queries, padded(keys)]
  void scores(const Head& head, const kernels::LeftFactor<Scalar>& left, const Scalar* packed,
              Index size, Scalar* to) const {
    const Index width = padded(head.n_keys);
    for_each_query_block(head, [&](Index first, Index end, Index visible) {
      kernels::product<Scalar>(
          left, kernels::transposed(packed, size), size,
          {first, end - first, 0, padded(visible) / kWidth},
          [](Index, Index) ECSEQ_LAMBDA_INLINE { return V{}; },
          [&](Index row, Index panel, V sum)
              ECSEQ_LAMBDA_INLINE { kernels::store(to + row * width + panel * kWidth, sum); });
    });
  }
  /// Rows [first, end) of weights right; finish(row, column, count, sum).
  /// weights: [queries, padded(keys)], right: [keys, padded(cols)]
  template <class Finish>
  static void times(const Head& head, Index first, Index end, Index visible, const Scalar* weights,
                    const Scalar* right, Index cols, const Finish& finish) {
    kernels::product<Scalar>(
        {weights, padded(head.n_keys)}, {right, padded(cols), kWidth}, visible,
        {first, end - first, 0, padded(cols) / kWidth},
        [](Index, Index) ECSEQ_LAMBDA_INLINE { return V{}; },
        [&](Index row, Index panel, V sum) ECSEQ_LAMBDA_INLINE {
          finish(row, panel * kWidth, std::min(kWidth, cols - panel * kWidth), sum);
        });
  }
  /// The gradient of the head's columns of `to` += weights' right.
  /// weights: [queries, padded(keys)], right: [queries, padded(cols)]
  void transposed_times(const Head& head, const Scalar* weights, const Scalar* right, Index cols,
                        const Columns& to) const {
    const Index width = padded(head.n_keys);
    for_each_block(head.n_keys, [&](Index first, Index end) {
      const Index query = mask_.causal ? first : 0;  // the first one that sees a key of the block
      kernels::product<Scalar>(
          {weights + query * width, 1, width}, {right + query * padded(cols), padded(cols), kWidth},
          head.n_queries - query, {first, end - first, 0, padded(cols) / kWidth},
          [](Index, Index) ECSEQ_LAMBDA_INLINE { return V{}; },
          [&](Index row, Index panel, V sum) ECSEQ_LAMBDA_INLINE {
            kernels::add_first<Scalar>(
                gradient_rows(to, head.key + row, head.head) + panel * kWidth, sum,
                std::min(kWidth, cols - panel * kWidth));
          });
    });
  }

  /// weights = Q K', -inf where the given mask forbids
  void logits(const Head& head) {
    kernels::pack_transpose(value_rows(k_, head.key, head.head), k_.x.cols(), head.n_keys,
                            key_size(), packed_keys_);
    scores(head, {value_rows(q_, head.query, head.head), q_.x.cols()}, packed_keys_, key_size(),
           weights_);
    for (Index i = 0; i < head.n_queries; ++i) {
      if (const auto* allowed = mask_row(head, i)) {
        Scalar* row = weights_ + i * padded(head.n_keys);
        for (Index j = 0; j < head.n_keys; ++j) row[j] = allowed[j] ? row[j] : kForbidden;
      }
    }
  }
  Row& row_of(const Head& head, Index i) const {
    return rows_[head.head * q_.x.rows() + head.query + i];
  }
  /// Row i of the weights from logits to exp((s - largest) / sqrt(dk)), which cannot overflow, 0
  /// where a key is hidden; keeps what `restore` needs.
  void exponentiate(const Head& head, Index i) {
    const Scalar largest =
        kernels::largest_of(weights_ + i * padded(head.n_keys), visible(head, i));
    Row& row = row_of(head, i);
    row.largest = largest == kForbidden ? Scalar(0) : largest;
    const Scalar sum = exponentials(head, i);
    row.inverse = sum == Scalar(0) ? Scalar(0) : Scalar(1) / sum;
  }
  /// Row i from logits to P.
  void restore(const Head& head, Index i) {
    exponentials(head, i);
    Scalar* p = weights_ + i * padded(head.n_keys);
    for (Index j = 0; j < visible(head, i); j += kWidth) {
      kernels::store(p + j, kernels::load(p + j) * row_of(head, i).inverse);
    }
  }
  Scalar exponentials(const Head& head, Index i) {
    const Index width = padded(head.n_keys), count = visible(head, i);
    Scalar* row = weights_ + i * width;
    const Scalar sum = kernels::exponentials(row, count, row_of(head, i).largest, scaling());
    std::fill(row + padded(count), row + width, Scalar(0));
    return sum;
  }
  /// ds = P (ds - along) / sqrt(dk) in row i, 0 where a key is hidden.
  void logit_gradients(const Head& head, Index i, Scalar along, Scalar* ds) const {
    const Index width = padded(head.n_keys), count = visible(head, i);
    const Scalar* p = weights_ + i * width;
    for (Index j = 0; j < count; j += kWidth) {
      const V d = kernels::load(p + j) * (kernels::load(ds + j) - along) * scaling();
      kernels::store(ds + j, kernels::select_first<Scalar>(count - j, d, V{}));
    }
    std::fill(ds + padded(count), ds + width, Scalar(0));
  }
  /// x *= M, drawn for what a query sees.  x: [queries, padded(keys)] of the head
  void drop(const Head& head, Scalar* x) const {
    if (dropout_.rate == 0.0) return;
    Rng rng(dropout_.seed, static_cast<std::uint64_t>(head.sequence * heads_ + head.head));
    const auto kept = static_cast<Scalar>(1.0 / (1.0 - dropout_.rate));
    for (Index i = 0; i < head.n_queries; ++i) {
      Scalar* row = x + i * padded(head.n_keys);
      for (Index j = 0; j < visible(head, i); ++j) {
        row[j] *= rng.uniform() < dropout_.rate ? Scalar(0) : kept;
      }
    }
  }

  Columns q_, k_, v_;
  Index heads_;
  Segments queries_, keys_;
  AttentionMask mask_;
  AttentionDropout dropout_;
  Row* rows_ = nullptr;            ///< [heads, nq]
  Scalar* packed_keys_ = nullptr;  ///< K of one head, see kernels::pack_transpose
  Scalar* weights_ = nullptr;      ///< logits, then P, of one head: [queries, padded(keys)]
};

inline void require_rate(const AttentionDropout& dropout) {
  if (dropout.rate >= 0.0 && dropout.rate < 1.0) return;
  throw InvalidArgument("dropout.rate: expected a number in [0, 1), got " +
                        std::to_string(dropout.rate));
}

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
  require_rate(dropout);
  using Columns = AttentionColumns<Scalar>;
  return q.tape().template apply<Attention<Scalar>>(
      q.rows(), v.cols(), q.needs_gradient() || k.needs_gradient() || v.needs_gradient(),
      Columns{q, 0, q.cols()}, Columns{k, 0, k.cols()}, Columns{v, 0, v.cols()}, heads, queries,
      keys, mask, dropout);
}

/// Every sequence attends to itself. projected: [n, 3 heads d], queries, keys and values side by
/// side; result: [n, heads d]
template <class Scalar>
Variable<Scalar> self_attention(Variable<Scalar> projected, Index heads,
                                std::span<const Index> offsets, bool causal,
                                const AttentionDropout& dropout = {}) {
  const Index width = projected.cols() / 3;
  if (heads < 1 || width == 0 || projected.cols() % (3 * heads) != 0) {
    throw InvalidArgument("heads: expected a divisor of a third of the columns of projected, " +
                          std::to_string(projected.cols()) + ", got " + std::to_string(heads));
  }
  const Segments sequences = require_segments(offsets, projected.rows(), "offsets");
  require_rate(dropout);
  using Columns = AttentionColumns<Scalar>;
  return projected.tape().template apply<Attention<Scalar>>(
      projected.rows(), width, projected.needs_gradient(), Columns{projected, 0, width},
      Columns{projected, width, width}, Columns{projected, 2 * width, width}, heads, sequences,
      sequences, AttentionMask{causal, {}}, dropout);
}

}  // namespace ecseq::autograd::inline ECSEQ_LEVEL
