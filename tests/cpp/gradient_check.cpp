#include "gradient_check.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace ecseq::testing {
namespace {

Index compared = 0;

/// A copy of a matrix that starts `shift` scalars after a 64-byte boundary.
class Placed {
 public:
  Placed(const Input& x, Index shift)
      : memory_(x.size() + shift), shift_(shift), rows_(x.rows()), cols_(x.cols()) {
    std::copy_n(x.data(), x.size(), data());
  }
  double* data() { return memory_.data() + shift_; }
  MatrixView<double> view() { return {data(), rows_, cols_}; }
  Input matrix() { return view().eigen(); }

 private:
  Eigen::ArrayXd memory_;
  Index shift_, rows_, cols_;
};

/// What a build gives for its inputs: the weighted sum, and its gradients added to 0.25, because
/// an operation has to add to what is there.
struct Outcome {
  double loss = 0.0;
  std::vector<Input> gradients;
};
constexpr double kGradientBefore = 0.25;

/// leaf: the input that gets a gradient while the others are constants; -1 = all do.
/// shift: how far inputs and gradients lie from an aligned address.
Outcome differentiate(const std::vector<Input>& inputs, const Build& build, int leaf = -1,
                      Index shift = 0) {
  autograd::Tape<double> tape;
  std::vector<Node> nodes;
  std::vector<Placed> values, gradients;
  values.reserve(inputs.size());
  gradients.reserve(inputs.size());
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const Input& x = inputs[k];
    values.emplace_back(x, shift);
    gradients.emplace_back(Input::Constant(x.rows(), x.cols(), kGradientBefore), shift);
    nodes.push_back(leaf < 0 || leaf == static_cast<int>(k)
                        ? tape.leaf(values[k].view(), gradients[k].data())
                        : tape.constant(values[k].view()));
  }
  const Node y = build(tape, nodes);
  EXPECT_TRUE(y.needs_gradient());
  const Node loss = tape.apply<WeightedSum>(1, 1, true, y);
  tape.backward(loss);
  Outcome outcome{loss.value()(0, 0), {}};
  for (Placed& gradient : gradients) outcome.gradients.push_back(gradient.matrix());
  return outcome;
}

}  // namespace

Index compared_elements() { return compared; }

void expect_same_wherever_inputs_lie(const std::vector<Input>& inputs, const Build& build) {
  const Outcome aligned = differentiate(inputs, build);
  for (const Index shift : {1, 3}) {
    const Outcome moved = differentiate(inputs, build, -1, shift);
    EXPECT_EQ(moved.loss, aligned.loss) << "moved by " << shift;
    EXPECT_EQ(moved.gradients, aligned.gradients) << "moved by " << shift;
  }
}

void expect_gradients(std::vector<Input> inputs, const Build& build, double tolerance) {
  const Outcome all = differentiate(inputs, build);
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    for (Index i = 0; i < inputs[k].size(); ++i) {
      double& x = inputs[k].data()[i];
      const double kept = x;
      const double step = 1e-5 * std::max(1.0, std::abs(kept));
      x = kept + step;
      const double up = differentiate(inputs, build).loss;
      x = kept - step;
      const double down = differentiate(inputs, build).loss;
      x = kept;
      const double expected = (up - down) / (2 * step);
      const double got = all.gradients[k].data()[i] - kGradientBefore;
      EXPECT_LE(std::abs(got - expected), tolerance * std::max({1.0, std::abs(expected)}))
          << "input " << k << ", element " << i << ": got " << got << ", expected " << expected;
      ++compared;
    }
    const Outcome alone = differentiate(inputs, build, static_cast<int>(k));
    EXPECT_EQ(alone.loss, all.loss);
    EXPECT_EQ(alone.gradients[k], all.gradients[k]) << "input " << k << " as the only leaf";
    for (std::size_t other = 0; other < inputs.size(); ++other) {
      if (other == k) continue;
      EXPECT_TRUE((alone.gradients[other].array() == kGradientBefore).all())
          << "input " << other << " is a constant";
    }
  }
  expect_same_wherever_inputs_lie(inputs, build);
}

}  // namespace ecseq::testing
