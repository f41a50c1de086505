#pragma once

#include <algorithm>
#include <cassert>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ecseq/autograd/tape.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/matrix.hpp"
#include "ecseq/core/rng.hpp"

namespace ecseq::nn {

/// The trainable matrices of a model, by name, in one flat vector: optimisers, gradient
/// reduction and "best weights so far" are then loops over plain arrays. Those of a file may stay
/// where the file's numbers lie, until somebody wants to write them.
template <class Scalar>
class Parameters {
 public:
  struct Entry {
    std::string name;
    Index rows;
    Index cols;
    Index offset;
  };

  Parameters() = default;
  /// None yet, and the numbers will come from a file: `add` keeps shapes only, nothing is drawn,
  /// and every matrix is `give`n its numbers later, before they are asked for. A few times as many
  /// as the file holds, `numbers`, may be added, so that sizes named in it cannot ask for more
  /// memory, and where they are a little too large, the tensor that does not fit can still be
  /// named.
  static Parameters of_file(Index numbers) {
    Parameters out;
    out.most_ = 4 * numbers + (Index{1} << 16);
    out.is_given_ = true;
    return out;
  }

  /// Adds a [rows, cols] matrix of zeros; returns its number. Throws InvalidArgument where that
  /// would be too many.
  int add(std::string name, Index rows, Index cols) {
    const Index left = most_ - size_;
    if (rows < 0 || cols < 0 || (cols > 0 && rows > left / cols)) {
      throw InvalidArgument("parameter '" + name + "': no room for [" + std::to_string(rows) +
                            ", " + std::to_string(cols) + "] numbers");
    }
    entries_.push_back({std::move(name), rows, cols, size_});
    size_ += rows * cols;
    if (is_given_) {
      given_.emplace_back();
    } else {
      values_.resize(static_cast<std::size_t>(size_), Scalar(0));
    }
    return static_cast<int>(entries_.size()) - 1;
  }
  /// Adds a matrix drawn uniformly from [-bound, bound].
  int add_uniform(std::string name, Index rows, Index cols, double bound, Rng& rng) {
    return add_with(std::move(name), rows, cols, [&](Scalar* values) {
      for (Index i = 0; i < rows * cols; ++i) values[i] = Scalar(rng.uniform(-bound, bound));
    });
  }
  /// Adds a matrix of zeros that begin(Scalar* values) changes; not called for a file's.
  template <class Begin>
  int add_with(std::string name, Index rows, Index cols, const Begin& begin) {
    const int id = add(std::move(name), rows, cols);
    if (!is_given_) begin(writable(id));
    return id;
  }
  /// The numbers of matrix `id`, row by row, as many as it has: shared where parameters are of a
  /// file, else copied.
  void give(int id, std::shared_ptr<const Scalar> values) {
    if (is_given_) {
      given_[static_cast<std::size_t>(id)] = std::move(values);
    } else {
      std::copy_n(values.get(), entry(id).rows * entry(id).cols, writable(id));
    }
  }

  const Scalar* data(int id) const {
    return is_given_ ? given_[static_cast<std::size_t>(id)].get()
                     : values_.data() + entry(id).offset;
  }
  MatrixView<Scalar> view(int id) const { return {data(id), entry(id).rows, entry(id).cols}; }
  /// The numbers with what keeps them alive: a file's or, of others, a copy.
  std::shared_ptr<const Scalar> shared(int id) const {
    if (is_given_) return given_[static_cast<std::size_t>(id)];
    const auto copy = std::make_shared<const Matrix<Scalar>>(view(id).eigen());
    return {copy, copy->data()};
  }
  const Entry& entry(int id) const { return entries_[static_cast<std::size_t>(id)]; }
  const std::vector<Entry>& entries() const { return entries_; }
  /// Numbers in all.
  Index size() const { return size_; }

  /// From here on the numbers are a copy of one's own.
  Scalar* writable(int id) { return flat().data() + entry(id).offset; }
  std::vector<Scalar>& flat() {
    if (is_given_) {
      values_ = values();
      given_.clear();
      is_given_ = false;
    }
    return values_;
  }
  /// Not of a file's, which are not flat.
  const std::vector<Scalar>& flat() const {
    assert(!is_given_);
    return values_;
  }
  /// A copy of all.
  std::vector<Scalar> values() const {
    if (!is_given_) return values_;
    std::vector<Scalar> out;
    out.reserve(static_cast<std::size_t>(size_));
    for (int id = 0; id < static_cast<int>(entries_.size()); ++id) {
      out.insert(out.end(), data(id), data(id) + entry(id).rows * entry(id).cols);
    }
    return out;
  }

  /// The matrix called `name`; throws InvalidArgument if there is none.
  int find(const std::string& name) const {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].name == name) return static_cast<int>(i);
    }
    throw InvalidArgument("no parameter is called '" + name + "'");
  }

 private:
  std::vector<Entry> entries_;
  Index size_ = 0;
  bool is_given_ = false;
  std::vector<std::shared_ptr<const Scalar>> given_;  ///< by entry; null until it is given
  std::vector<Scalar> values_;                        ///< unless they are given
  Index most_ = std::numeric_limits<Index>::max();
};

/// Parameters as seen by one shard's tape: values shared and read-only, gradients its own.
template <class Scalar>
class BoundParameters {
 public:
  BoundParameters(autograd::Tape<Scalar>& tape, const Parameters<Scalar>& parameters,
                  std::vector<Scalar>& gradient)
      : tape_(tape), parameters_(&parameters), gradient_(gradient.data()) {}
  /// Constants, where nothing is trained.
  BoundParameters(autograd::Tape<Scalar>& tape, const Parameters<Scalar>& parameters)
      : tape_(tape), parameters_(&parameters) {}
  /// Variables that are on the tape already, in the order of the parameters.
  BoundParameters(autograd::Tape<Scalar>& tape,
                  std::span<const autograd::Variable<Scalar>> variables)
      : tape_(tape), variables_(variables) {}
  /// Parameter `id` as a leaf of the tape.
  autograd::Variable<Scalar> operator[](int id) const {
    if (parameters_ == nullptr) return variables_[static_cast<std::size_t>(id)];
    if (gradient_ == nullptr) return tape_.constant(parameters_->view(id));
    return tape_.leaf(parameters_->view(id), gradient_ + parameters_->entry(id).offset);
  }
  autograd::Tape<Scalar>& tape() const { return tape_; }

 private:
  autograd::Tape<Scalar>& tape_;
  const Parameters<Scalar>* parameters_ = nullptr;
  Scalar* gradient_ = nullptr;  ///< laid out like the parameters
  std::span<const autograd::Variable<Scalar>> variables_;
};

}  // namespace ecseq::nn
