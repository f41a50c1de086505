#pragma once

// Every operation is checked in double against central differences, element by element.

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "ecseq/autograd/tape.hpp"
#include "ecseq/core/rng.hpp"

namespace ecseq::testing {

using Input = Matrix<double>;
using Node = autograd::Variable<double>;
/// Builds the operation under test on `tape` from its inputs.
using Build = std::function<Node(autograd::Tape<double>& tape, const std::vector<Node>& inputs)>;

inline Input random_matrix(Index rows, Index cols, std::uint64_t seed, double scale = 1.0) {
  Rng rng(seed);
  Input x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = scale * rng.normal();
  return x;
}

/// sum of output * coefficients as an operation, so that every output element counts differently.
class WeightedSum final : public autograd::Operation<double> {
 public:
  explicit WeightedSum(Node x) : x_(x) {}
  static double coefficient(Index i) { return std::sin(1.0 + 0.7 * static_cast<double>(i)); }
  void forward(autograd::Values<double> y) override {
    y(0, 0) = 0.0;
    for (Index i = 0; i < x_.value().size(); ++i) {
      y(0, 0) += coefficient(i) * x_.value().data()[i];
    }
  }
  void backward(autograd::ConstValues<double>, autograd::ConstValues<double> dy) override {
    for (Index i = 0; i < x_.value().size(); ++i) {
      x_.gradient().data()[i] += coefficient(i) * dy(0, 0);
    }
  }

 private:
  Node x_;
};

/// Elements compared by `expect_gradients` so far.
Index compared_elements();

/// Loss and gradients must be the same to the bit wherever the caller's matrices lie in memory.
void expect_same_wherever_inputs_lie(const std::vector<Input>& inputs, const Build& build);

/// Compares d(weighted sum of build(inputs)) / d inputs with central differences. The gradients
/// must also be the same where the other inputs are constants, and the same to the bit wherever
/// the caller's matrices lie in memory.
void expect_gradients(std::vector<Input> inputs, const Build& build, double tolerance = 1e-6);

}  // namespace ecseq::testing
