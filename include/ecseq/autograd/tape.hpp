#pragma once

// Reverse-mode differentiation over coarse matrix operations. A tape is used by one thread: a
// training step cuts its batch into fixed shards, each with a tape of its own, and adds the
// shards' gradients in order, which is what makes training bit-identical for every thread count.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "ecseq/core/arena.hpp"
#include "ecseq/core/matrix.hpp"

namespace ecseq::autograd {

template <class Scalar>
using Values = Eigen::Map<Matrix<Scalar>>;
template <class Scalar>
using ConstValues = Eigen::Map<const Matrix<Scalar>>;

template <class Scalar>
class Tape;

/// A handle to a matrix on a tape. Copies refer to the same matrix.
template <class Scalar>
class Variable {
 public:
  Variable() = default;
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Values<Scalar> value() const { return {value_, rows_, cols_}; }
  /// Where the gradient of the loss accumulates; only if `needs_gradient`.
  Values<Scalar> gradient() const { return {gradient_, rows_, cols_}; }
  bool needs_gradient() const { return gradient_ != nullptr; }
  Tape<Scalar>& tape() const { return *tape_; }

 private:
  friend class Tape<Scalar>;
  Variable(Tape<Scalar>* tape, Scalar* value, Scalar* gradient, Index rows, Index cols)
      : tape_(tape), value_(value), gradient_(gradient), rows_(rows), cols_(cols) {}
  Tape<Scalar>* tape_ = nullptr;
  Scalar* value_ = nullptr;
  Scalar* gradient_ = nullptr;
  Index rows_ = 0;
  Index cols_ = 0;
};

/// One node of the computation. `forward` writes y; `backward` ADDS to the gradient of every
/// input that needs one, given dy = d loss / d y. Both stand side by side in each operation.
/// Lives in the tape's arena and is never destroyed: hold views and plain values only, and take
/// scratch memory from `Tape::scratch`.
template <class Scalar>
class Operation {
 public:
  virtual void forward(Values<Scalar> y) = 0;
  virtual void backward(ConstValues<Scalar> y, ConstValues<Scalar> dy) = 0;

 protected:
  ~Operation() = default;
};

template <class Scalar>
class Tape {
 public:
  /// A constant: no gradient flows into it. Refers to the caller's memory.
  Variable<Scalar> constant(MatrixView<Scalar> x) {
    return {this, const_cast<Scalar*>(x.data), nullptr, x.rows, x.cols};
  }
  /// A constant owned by the tape, for the caller to fill before it is used.
  Variable<Scalar> constant(Index rows, Index cols) {
    return {this, scratch(rows * cols), nullptr, rows, cols};
  }
  /// A leaf whose gradient is ADDED to `gradient` (same shape, caller's memory).
  Variable<Scalar> leaf(MatrixView<Scalar> x, Scalar* gradient) {
    return {this, const_cast<Scalar*>(x.data), gradient, x.rows, x.cols};
  }

  /// Records Op(args...), whose result is [rows, cols], and runs its forward pass.
  /// `needs_gradient`: whether any of its inputs does.
  template <class Op, class... Args>
  Variable<Scalar> apply(Index rows, Index cols, bool needs_gradient, Args&&... args) {
    static_assert(std::is_base_of_v<Operation<Scalar>, Op>);
    Scalar* value = scratch(rows * cols);
    Scalar* gradient = nullptr;
    if (needs_gradient) {
      gradient = scratch(rows * cols);
      std::memset(gradient, 0, static_cast<std::size_t>(rows * cols) * sizeof(Scalar));
    }
    auto* op = new (arena_.allocate(sizeof(Op))) Op(std::forward<Args>(args)...);
    const Variable<Scalar> result{this, value, gradient, rows, cols};
    op->forward(result.value());
    if (needs_gradient) nodes_.push_back({op, result});
    return result;
  }

  /// Uninitialised memory for `count` scalars, valid until `reset`; 64-byte aligned.
  Scalar* scratch(Index count) { return arena_.take<Scalar>(count); }
  /// Same for any trivially destructible type.
  template <class T>
  T* scratch_of(Index count) {
    return arena_.take<T>(count);
  }

  /// Sets d loss / d loss = `seed` and walks the operations backwards. loss: [1, 1].
  void backward(const Variable<Scalar>& loss, Scalar seed = Scalar(1)) {
    loss.gradient().setConstant(seed);
    for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
      const auto& y = node->result;
      node->op->backward({y.value().data(), y.rows(), y.cols()},
                         {y.gradient().data(), y.rows(), y.cols()});
    }
  }

  /// Forgets everything recorded; memory is kept for the next step.
  void reset() {
    nodes_.clear();
    arena_.reset();
  }

 private:
  struct Node {
    Operation<Scalar>* op;
    Variable<Scalar> result;
  };
  Arena arena_;
  std::vector<Node> nodes_;
};

}  // namespace ecseq::autograd
