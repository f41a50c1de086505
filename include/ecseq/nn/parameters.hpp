#pragma once

#include <limits>
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
/// reduction and "best weights so far" are then loops over plain arrays.
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
  /// None yet, and room for a few times as many as a file holds, `numbers`: sizes that it names
  /// cannot ask for more memory, and where they are a little too large, the tensor that does not
  /// fit can still be named.
  static Parameters with_room_for(Index numbers) {
    Parameters out;
    out.most_ = 4 * numbers + (Index{1} << 16);
    return out;
  }

  /// Adds a [rows, cols] matrix of zeros; returns its number. Throws InvalidArgument where that
  /// would be too many.
  int add(std::string name, Index rows, Index cols) {
    const Index left = most_ - static_cast<Index>(values_.size());
    if (rows < 0 || cols < 0 || (cols > 0 && rows > left / cols)) {
      throw InvalidArgument("parameter '" + name + "': no room for [" + std::to_string(rows) +
                            ", " + std::to_string(cols) + "] numbers");
    }
    entries_.push_back({std::move(name), rows, cols, static_cast<Index>(values_.size())});
    values_.resize(values_.size() + static_cast<std::size_t>(rows * cols), Scalar(0));
    return static_cast<int>(entries_.size()) - 1;
  }
  /// Adds a matrix drawn uniformly from [-bound, bound].
  int add_uniform(std::string name, Index rows, Index cols, double bound, Rng& rng) {
    const int id = add(std::move(name), rows, cols);
    for (Index i = 0; i < rows * cols; ++i) data(id)[i] = Scalar(rng.uniform(-bound, bound));
    return id;
  }

  Scalar* data(int id) { return values_.data() + entry(id).offset; }
  const Scalar* data(int id) const { return values_.data() + entry(id).offset; }
  MatrixView<Scalar> view(int id) const { return {data(id), entry(id).rows, entry(id).cols}; }
  const Entry& entry(int id) const { return entries_[static_cast<std::size_t>(id)]; }
  const std::vector<Entry>& entries() const { return entries_; }

  std::vector<Scalar>& flat() { return values_; }
  const std::vector<Scalar>& flat() const { return values_; }

  /// The matrix called `name`; throws InvalidArgument if there is none.
  int find(const std::string& name) const {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].name == name) return static_cast<int>(i);
    }
    throw InvalidArgument("no parameter is called '" + name + "'");
  }

 private:
  std::vector<Entry> entries_;
  std::vector<Scalar> values_;
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
