#pragma once

// Every operation is checked in double against central differences, element by element.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
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

/// Compares d(weighted sum of build(inputs)) / d inputs with central differences.
inline void expect_gradients(std::vector<Input> inputs, const Build& build,
                             double tolerance = 1e-6) {
  const auto run = [&](std::vector<Input>* gradients) {
    autograd::Tape<double> tape;
    std::vector<Node> nodes;
    std::vector<Input> sink;
    for (const Input& x : inputs) sink.push_back(Input::Zero(x.rows(), x.cols()));
    std::vector<Input>& target = gradients ? *gradients : sink;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      nodes.push_back(tape.leaf(inputs[i], target[i].data()));
    }
    const Node y = build(tape, nodes);
    EXPECT_TRUE(y.needs_gradient());
    const Node loss = tape.apply<WeightedSum>(1, 1, true, y);
    if (gradients) tape.backward(loss);
    return loss.value()(0, 0);
  };

  // Gradients are added to what is there: start from something other than zero.
  constexpr double kBefore = 0.25;
  std::vector<Input> gradients;
  for (const Input& x : inputs) gradients.push_back(Input::Constant(x.rows(), x.cols(), kBefore));
  run(&gradients);
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    for (Index i = 0; i < inputs[k].size(); ++i) {
      double& x = inputs[k].data()[i];
      const double kept = x;
      const double step = 1e-5 * std::max(1.0, std::abs(kept));
      x = kept + step;
      const double up = run(nullptr);
      x = kept - step;
      const double down = run(nullptr);
      x = kept;
      const double expected = (up - down) / (2 * step);
      const double got = gradients[k].data()[i] - kBefore;
      EXPECT_LE(std::abs(got - expected), tolerance * std::max({1.0, std::abs(expected)}))
          << "input " << k << ", element " << i << ": got " << got << ", expected " << expected;
    }
  }
}

}  // namespace ecseq::testing
