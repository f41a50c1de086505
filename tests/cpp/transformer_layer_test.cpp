#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "ecseq/nn/positions.hpp"
#include "ecseq/nn/transformer_parameters.hpp"
#include "expect_refused.hpp"
#include "gradient_check.hpp"

namespace ecseq {
namespace {

using autograd::Tape;
using autograd::Variable;
using kernels::Activation;
using kernels::TransformerShape;
using testing::expect_gradients;
using testing::expect_refused;
using testing::Input;
using testing::Node;
using testing::random_matrix;
using Offsets = std::vector<Index>;

/// norm_first, causal, activation
struct Variant {
  bool norm_first, causal;
  Activation activation;
};
constexpr Variant kVariants[] = {{false, false, Activation::kRelu},
                                 {true, false, Activation::kRelu},
                                 {false, true, Activation::kGelu},
                                 {true, true, Activation::kGelu}};

TransformerShape shape_of(const Variant& variant, Index heads) {
  return {heads, variant.norm_first, variant.causal, variant.activation};
}

const Offsets kOffsets{0, 3, 12, 13, 18, 27, 29, 35};

Matrix<float> uniform(Rng& rng, Index rows, Index cols, double bound) {
  Matrix<float> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.uniform(-bound, bound));
  return x;
}

/// The twelve matrices of a layer, in the order of `layer_variables`.
constexpr std::size_t kMatrices = 12;
template <class Scalar>
nn::TransformerLayerVariables<Scalar> layer_variables(const std::vector<Variable<Scalar>>& v,
                                                      std::size_t at = 0) {
  return {{v[at], v[at + 1]},     {v[at + 2], v[at + 3]}, {v[at + 4], v[at + 5]},
          {v[at + 6], v[at + 7]}, {v[at + 8], v[at + 9]}, {v[at + 10], v[at + 11]}};
}
kernels::TransformerLayerMatrices layer_matrices(const std::vector<Matrix<float>>& m,
                                                 std::size_t at = 0) {
  return {m[at],
          m[at + 1].data(),
          m[at + 2],
          m[at + 3].data(),
          m[at + 4],
          m[at + 5].data(),
          m[at + 6],
          m[at + 7].data(),
          m[at + 8].data(),
          m[at + 9].data(),
          m[at + 10].data(),
          m[at + 11].data()};
}

/// Parameters and, as the golden file has it, a column for each to combine its gradient with.
struct Drawn {
  std::vector<Matrix<float>> values, columns;

  void weight(Rng& rng, Index rows, Index cols) {
    values.push_back(uniform(rng, rows, cols, 1.5 / std::sqrt(static_cast<double>(rows))));
    columns.push_back(uniform(rng, cols, 1, 1.0));
  }
  void vector(Rng& rng, Index size, float centre = 0.0F) {
    values.push_back(uniform(rng, 1, size, 0.5).array() + centre);
    columns.push_back(uniform(rng, size, 1, 1.0));
  }
  void norm(Rng& rng, Index size) {
    vector(rng, size, 1.0F);
    vector(rng, size);
  }
  void layer(Rng& rng, Index width, Index hidden) {
    weight(rng, width, 3 * width);
    vector(rng, 3 * width);
    weight(rng, width, width);
    vector(rng, width);
    weight(rng, width, hidden);
    vector(rng, hidden);
    weight(rng, hidden, width);
    vector(rng, width);
    norm(rng, width);
    norm(rng, width);
  }
};

TEST(TransformerLayer, GradientsAreTheFiniteDifferences) {
  for (const Variant& variant : kVariants) {
    for (const double dropout : {0.0, 0.2}) {
      Rng rng(3);
      Drawn drawn;
      drawn.layer(rng, 4, 5);
      std::vector<Input> inputs{random_matrix(6, 4, 1)};
      for (const auto& value : drawn.values) inputs.push_back(value.cast<double>());
      const Offsets offsets{0, 3, 3, 5, 6};
      expect_gradients(
          inputs,
          [&](Tape<double>&, const std::vector<Node>& in) {
            Rng drops(7);  // the same elements each time
            return nn::transformer_layer(in[0], offsets, layer_variables(in, 1),
                                         shape_of(variant, 2), dropout, drops);
          },
          1e-5);
    }
  }
}

const std::map<std::string, std::vector<double>>& golden() {
  static const auto values = [] {
    const auto tests = std::filesystem::path(__FILE__).parent_path().parent_path();
    std::ifstream file(tests / "parity/golden/transformer.txt");
    std::map<std::string, std::vector<double>> out;
    std::string name;
    std::size_t count = 0;
    while (file >> name >> count) {
      auto& row = out[name];
      row.resize(count);
      for (double& value : row) file >> value;
    }
    return out;
  }();
  return values;
}

void expect_golden(const std::string& name, const Input& got) {
  ASSERT_EQ(golden().count(name), 1U) << name << " is not in the golden file";
  const auto& expected = golden().at(name);
  ASSERT_EQ(static_cast<Index>(expected.size()), got.size()) << name;
  double scale = 1.0;
  for (const double value : expected) scale = std::max(scale, std::abs(value));
  for (Index i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got.data()[i], expected[static_cast<std::size_t>(i)], 1e-7 * scale)
        << name << ", element " << i;
  }
}

/// sum x * factor
struct Objective final : autograd::Operation<double> {
  Variable<double> x;
  const Input& factor;
  Objective(Variable<double> given, const Input& f) : x(given), factor(f) {}
  void forward(autograd::Values<double> y) override {
    y(0, 0) = x.value().cwiseProduct(factor).sum();
  }
  void backward(autograd::ConstValues<double>, autograd::ConstValues<double> dy) override {
    x.gradient() += dy(0, 0) * factor;
  }
};

void expect_parity(int number, Index width, Index heads, Index hidden) {
  const Variant& variant = kVariants[number];
  Rng rng(static_cast<std::uint64_t>(1000 * number + width)), no_drops(1);
  const Input events = uniform(rng, 35, width, 2.0).cast<double>();
  const Input objective = uniform(rng, 35, width, 1.0).cast<double>();
  const Input column = uniform(rng, width, 1, 1.0).cast<double>();
  Drawn drawn;
  for (int layer = 0; layer < 2; ++layer) drawn.layer(rng, width, hidden);
  if (variant.norm_first) drawn.norm(rng, width);

  Tape<double> tape;
  std::vector<Input> values, gradients;
  for (const auto& value : drawn.values) {
    values.push_back(value.cast<double>());
    gradients.push_back(Input::Zero(value.rows(), value.cols()));
  }
  std::vector<Variable<double>> v;
  for (std::size_t i = 0; i < values.size(); ++i) {
    v.push_back(tape.leaf(values[i], gradients[i].data()));
  }
  Input of_events = Input::Zero(35, width);
  Variable<double> x = tape.leaf(events, of_events.data());
  for (std::size_t layer = 0; layer < 2; ++layer) {
    x = nn::transformer_layer(x, kOffsets, layer_variables(v, layer * kMatrices),
                              shape_of(variant, heads), 0.0, no_drops);
  }
  if (variant.norm_first) x = autograd::layer_norm(x, v[2 * kMatrices], v[2 * kMatrices + 1]);
  tape.backward(tape.apply<Objective>(1, 1, true, x, objective));

  const std::string prefix = std::to_string(number) + "." + std::to_string(width) + ".";
  expect_golden(prefix + "output", x.value() * column);
  expect_golden(prefix + "input", of_events * column);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    expect_golden(prefix + "p" + std::to_string(i), gradients[i] * drawn.columns[i].cast<double>());
  }
}

TEST(TransformerLayer, StacksAndTheirGradientsAreTorchs) {
  for (int number = 0; number < 4; ++number) {
    expect_parity(number, 8, 2, 16);
    expect_parity(number, 12, 3, 21);
    expect_parity(number, 64, 4, 48);
  }
}

TEST(TransformerLayer, DropoutActsAndFollowsItsGenerator) {
  Rng rng(1);
  Drawn drawn;
  drawn.layer(rng, 8, 6);
  const Matrix<float> events = uniform(rng, 35, 8, 1.0);
  const auto run = [&](double dropout, std::uint64_t seed) -> Matrix<float> {
    Tape<float> tape;
    Rng drops(seed);
    std::vector<Variable<float>> v;
    for (const auto& value : drawn.values) v.push_back(tape.constant(value));
    return nn::transformer_layer(tape.constant(events), kOffsets, layer_variables(v),
                                 {2, false, false, Activation::kRelu}, dropout, drops)
        .value();
  };
  EXPECT_EQ(run(0.0, 1), run(0.0, 2));
  EXPECT_EQ(run(0.3, 1), run(0.3, 1));
  EXPECT_NE(run(0.3, 1), run(0.3, 2));
}

/// Sequences of `offsets` through a stack of kernel layers, in their order.
Matrix<float> infer(const std::vector<kernels::TransformerLayerWeights>& layers,
                    const TransformerShape& shape, const Matrix<float>& events,
                    const Offsets& offsets) {
  const Index stride = layers[0].stride(), rows = events.rows();
  Matrix<float> x = Matrix<float>::Constant(rows, stride, std::nanf(""));  // padding: anything
  x.leftCols(events.cols()) = events;
  Index longest = 0;
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    longest = std::max(longest, offsets[s + 1] - offsets[s]);
  }
  Eigen::ArrayXf scratch = Eigen::ArrayXf::Constant(
      kernels::transformer_scratch_size(layers[0], shape, rows, longest), std::nanf(""));
  for (const auto& layer : layers) {
    kernels::transformer_layer(layer, shape, offsets.data(), static_cast<Index>(offsets.size()) - 1,
                               x.data(), scratch.data());
  }
  return x.leftCols(events.cols());
}

struct Stack {
  Stack(Rng& rng, Index width, Index heads, Index hidden, Index count) {
    for (Index layer = 0; layer < count; ++layer) drawn.layer(rng, width, hidden);
    for (Index layer = 0; layer < count; ++layer) {
      layers.emplace_back(layer_matrices(drawn.values, static_cast<std::size_t>(layer) * kMatrices),
                          heads);
    }
  }
  Drawn drawn;
  std::vector<kernels::TransformerLayerWeights> layers;
};

TEST(TransformerKernel, InferenceIsTheTapesForwardPass) {
  struct Size {
    Index width, heads, hidden;
  };
  for (const Variant& variant : kVariants) {
    for (const Size& size : {Size{1, 1, 1}, Size{8, 2, 16}, Size{12, 3, 21}, Size{36, 2, 300},
                             Size{64, 4, 128}, Size{60, 3, 129}}) {
      Rng rng(5), drops(1);
      const Stack stack(rng, size.width, size.heads, size.hidden, 2);
      const TransformerShape shape = shape_of(variant, size.heads);
      const Offsets offsets{0, 3, 3, 4, 54, 71, 201};
      const Matrix<float> events = uniform(rng, 201, size.width, 1.0);
      Tape<float> tape;
      std::vector<Variable<float>> v;
      for (const auto& value : stack.drawn.values) v.push_back(tape.constant(value));
      auto x = tape.constant(events);
      for (std::size_t layer = 0; layer < 2; ++layer) {
        x = nn::transformer_layer(x, offsets, layer_variables(v, layer * kMatrices), shape, 0.0,
                                  drops);
      }
      const Matrix<float> expected = x.value(), got = infer(stack.layers, shape, events, offsets);
      const float scale = std::max(1.0F, expected.cwiseAbs().maxCoeff());
      EXPECT_LE((got - expected).cwiseAbs().maxCoeff(), 1e-5F * scale)
          << size.width << " " << variant.norm_first << variant.causal;
    }
  }
}

TEST(TransformerKernel, ASequenceHasTheSameBitsAloneAndInAnyOrder) {
  for (const Variant& variant : kVariants) {
    Rng rng(6);
    const Stack stack(rng, 28, 4, 150, 2);
    const TransformerShape shape = shape_of(variant, 4);
    const Offsets offsets{0, 1, 51, 58, 158};
    const Matrix<float> events = uniform(rng, 158, 28, 1.0);
    const Matrix<float> together = infer(stack.layers, shape, events, offsets);
    Matrix<float> reversed(158, 28);
    Offsets reversed_offsets{0};
    for (std::size_t s = 4; s-- > 0;) {
      const Index length = offsets[s + 1] - offsets[s];
      const Matrix<float> own = events.middleRows(offsets[s], length);
      EXPECT_EQ(infer(stack.layers, shape, own, {0, length}),
                Matrix<float>(together.middleRows(offsets[s], length)));
      reversed.middleRows(reversed_offsets.back(), length) = own;
      reversed_offsets.push_back(reversed_offsets.back() + length);
    }
    const Matrix<float> backward = infer(stack.layers, shape, reversed, reversed_offsets);
    EXPECT_EQ(Matrix<float>(backward.topRows(100)), Matrix<float>(together.bottomRows(100)));
    EXPECT_EQ(Matrix<float>(backward.bottomRows(1)), Matrix<float>(together.topRows(1)));
  }
}

TEST(TransformerKernel, LaterEventsDoNotReachACausalResult) {
  for (const bool norm_first : {false, true}) {
    Rng rng(7);
    const Stack stack(rng, 12, 3, 20, 2);
    const TransformerShape shape{3, norm_first, true, Activation::kGelu};
    Matrix<float> events = uniform(rng, 61, 12, 1.0);
    const Matrix<float> before = infer(stack.layers, shape, events, {0, 61});
    for (const Index changed : {1, 17, 40, 60}) {
      Matrix<float> other = events;
      other.row(changed).setConstant(3.0F);
      const Matrix<float> after = infer(stack.layers, shape, other, {0, 61});
      EXPECT_EQ(Matrix<float>(after.topRows(changed)), Matrix<float>(before.topRows(changed)));
      EXPECT_NE(after.row(changed), before.row(changed));
      // Nor does it matter that there are any.
      EXPECT_EQ(infer(stack.layers, shape, events.topRows(changed), {0, changed}),
                Matrix<float>(before.topRows(changed)));
    }
  }
}

TEST(TransformerParameters, TrainingAndInferenceSeeTheSameLayer) {
  Rng rng(8), drops(1);
  nn::Parameters<float> parameters;
  const auto layer = nn::add_transformer_layer(parameters, "layer0", 12, 20, rng);
  // A norm that does nothing would hide a gain taken for a bias.
  for (float& value : parameters.flat()) value += static_cast<float>(rng.uniform(-0.3, 0.3));
  const TransformerShape shape{3, false, false, Activation::kGelu};
  const Matrix<float> events = uniform(rng, 35, 12, 1.0);
  Tape<float> tape;
  std::vector<float> gradient(parameters.flat().size());
  const nn::BoundParameters<float> bound(tape, parameters, gradient);
  const Matrix<float> expected = nn::transformer_layer(tape.constant(events), kOffsets,
                                                       layer.variables(bound), shape, 0.0, drops)
                                     .value();
  const std::vector<kernels::TransformerLayerWeights> weights{{layer.matrices(parameters), 3}};
  EXPECT_TRUE(infer(weights, shape, events, kOffsets).isApprox(expected, 1e-5F));
}

TEST(TransformerParameters, AreDrawnWithinTorchsBounds) {
  Rng rng(9);
  nn::Parameters<float> parameters;
  nn::add_transformer_layer(parameters, "layer0", 16, 64, rng);
  const auto most = [&](const std::string& name) {
    const auto view = parameters.view(parameters.find("layer0." + name));
    return view.eigen().cwiseAbs().maxCoeff();
  };
  const std::pair<const char*, double> bounds[] = {{"in_projection.weight", std::sqrt(6.0 / 64)},
                                                   {"out_projection.weight", 0.25},
                                                   {"feed_forward_in.weight", 0.25},
                                                   {"feed_forward_in.bias", 0.25},
                                                   {"feed_forward_out.weight", 0.125},
                                                   {"feed_forward_out.bias", 0.125}};
  for (const auto& [name, bound] : bounds) {
    EXPECT_LE(most(name), bound) << name;
    EXPECT_GE(most(name), 0.8 * bound) << name;
  }
  for (const char* name : {"in_projection.bias", "out_projection.bias", "norm_attention.bias",
                           "norm_feed_forward.bias"}) {
    EXPECT_EQ(most(name), 0.0F) << name;
  }
  for (const char* name : {"norm_attention.gain", "norm_feed_forward.gain"}) {
    EXPECT_TRUE(
        (parameters.view(parameters.find(std::string("layer0.") + name)).eigen().array() == 1.0F)
            .all());
  }
}

TEST(Positions, SinusoidsAreTheFormula) {
  for (const Index width : {1, 6, 7}) {
    Input table(50, width);
    nn::sinusoidal_positions(50, width, table.data());
    for (Index t = 0; t < 50; ++t) {
      for (Index pair = 0; 2 * pair < width; ++pair) {
        const double angle =
            static_cast<double>(t) /
            std::pow(10000.0, 2.0 * static_cast<double>(pair) / static_cast<double>(width));
        EXPECT_NEAR(table(t, 2 * pair), std::sin(angle), 1e-12);
        if (2 * pair + 1 == width) continue;
        EXPECT_NEAR(table(t, 2 * pair + 1), std::cos(angle), 1e-12);
      }
    }
  }
}

TEST(Positions, EachEventGetsTheRowOfItsPlaceInItsSequence) {
  Tape<double> tape;
  const Input x = random_matrix(6, 3, 1), table = random_matrix(4, 3, 2);
  const Offsets offsets{0, 3, 3, 5, 6};
  const Node y = nn::add_positions(tape.constant(x), offsets, tape.constant(table));
  const Index positions[] = {0, 1, 2, 0, 1, 0};
  for (Index i = 0; i < 6; ++i) {
    EXPECT_EQ(y.value().row(i), x.row(i) + table.row(positions[i])) << i;
  }
}

TEST(Positions, LearnedPositionsGetTheirGradients) {
  const Offsets offsets{0, 3, 3, 5, 6};
  expect_gradients({random_matrix(6, 3, 1), random_matrix(4, 3, 2)},
                   [&](Tape<double>&, const std::vector<Node>& in) {
                     return nn::add_positions(in[0], offsets, in[1]);
                   });
}

TEST(TransformerLayer, WrongArgumentsAreRefusedByName) {
  Tape<double> tape;
  const Node x = tape.constant(6, 3), projected = tape.constant(6, 12);
  const Offsets offsets{0, 3, 3, 5, 6};
  expect_refused([&] { nn::add_positions(x, offsets, tape.constant(2, 3)); },
                 "table: expected a row for each of the 3 events of sequence 0, got 2");
  expect_refused([&] { nn::add_positions(x, offsets, tape.constant(3, 2)); },
                 "table: expected shape [3, 3], got [3, 2]");
  expect_refused([&] { autograd::self_attention(projected, 3, offsets, false); },
                 "heads: expected a divisor of a third of the columns of projected, 12, got 3");
  expect_refused(
      [&] {
        autograd::self_attention(projected, 2, offsets, false, {1.0, 0});
      },
      "dropout.rate: expected a number in [0, 1), got 1.000000");
}

}  // namespace
}  // namespace ecseq
