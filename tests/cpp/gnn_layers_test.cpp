#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "ecseq/gnn/attention_layer.hpp"
#include "ecseq/gnn/gat_layer.hpp"
#include "ecseq/gnn/gcn_layer.hpp"
#include "ecseq/gnn/sage_layer.hpp"
#include "golden_file.hpp"
#include "gradient_check.hpp"

namespace ecseq::gnn {
namespace {

using autograd::Tape;
using autograd::Variable;
using testing::expect_gradients;
using testing::GoldenFile;
using testing::Input;
using testing::Node;

// As in tests/parity/gnn_pyg.py: target 2 has no edge, target 4 two from one source.
const std::vector<Index> kOffsets{0, 2, 3, 3, 7, 10};
const std::vector<Index> kSources{0, 3, 5, 1, 2, 4, 5, 3, 3, 0};
constexpr Index kTargets = 5, kNodes = 6;
const Index kEdges = static_cast<Index>(kSources.size());

/// A layer as a function of bound parameters, targets and messages.
template <class Scalar>
struct Layer {
  nn::Parameters<Scalar> parameters;
  std::function<Variable<Scalar>(const nn::BoundParameters<Scalar>&, Variable<Scalar>,
                                 const Messages<Scalar>&)>
      forward;
};

template <class Scalar>
Layer<Scalar> make_layer(const std::string& name, Index in, Index out, Index heads) {
  Layer<Scalar> made;
  Rng rng(1);
  const auto wrap = [&](auto layer) {
    made.forward = [layer](const auto& bound, auto x, const auto& messages) {
      if constexpr (requires(Rng & r) { layer.forward(bound, x, messages, 0.0, r); }) {
        Rng unused(0);
        return layer.forward(bound, x, messages, 0.0, unused);
      } else {
        return layer.forward(bound, x, messages);
      }
    };
  };
  if (name.starts_with("sage")) {
    wrap(SageLayer<Scalar>(made.parameters, "l", in, in, out,
                           name == "sage_max" ? SageAggregation::kMax : SageAggregation::kMean,
                           rng));
  } else if (name == "gcn") {
    wrap(GcnLayer<Scalar>(made.parameters, "l", in, out, rng));
  } else if (name.starts_with("gat")) {
    wrap(GatLayer<Scalar>(made.parameters, "l", in, out, heads, rng));
  } else {
    wrap(AttentionLayer<Scalar>(made.parameters, "l", in, in, out, heads, rng));
  }
  return made;
}

Matrix<float> uniform(Rng& rng, Index rows, Index cols, double bound) {
  Matrix<float> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) {
    x.data()[i] = static_cast<float>(rng.uniform(-bound, bound));
  }
  return x;
}

/// Weights that make a mean of each target's edges.
Matrix<float> mean_weights() {
  Matrix<float> weights(kEdges, 1);
  for (std::size_t t = 0; t + 1 < kOffsets.size(); ++t) {
    for (Index e = kOffsets[t]; e < kOffsets[t + 1]; ++e) {
      weights(e, 0) = 1.0F / static_cast<float>(kOffsets[t + 1] - kOffsets[t]);
    }
  }
  return weights;
}

struct Case {
  const char* name;
  Index in, out, heads;
};
const Case kParity[]{{"sage_mean", 5, 7, 1},
                     {"sage_max", 5, 7, 1},
                     {"gcn", 5, 7, 1},
                     {"gat1", 5, 4, 1},
                     {"gat4", 6, 12, 4}};

TEST(GnnLayers, AreThoseOfPyTorchGeometric) {
  const GoldenFile golden("gnn.txt");
  std::uint64_t seed = 7000;
  for (const Case& c : kParity) {
    SCOPED_TRACE(c.name);
    Rng rng(seed++);
    const Matrix<float> targets = uniform(rng, kTargets, c.in, 2.0);
    const Matrix<float> sources = uniform(rng, kNodes, c.in, 2.0);
    Matrix<float> weights = uniform(rng, kEdges, 1, 0.5).array() + 1.0F;
    if (std::string(c.name).starts_with("sage")) weights = mean_weights();
    Layer<float> layer = make_layer<float>(c.name, c.in, c.out, c.heads);
    const auto& entries = layer.parameters.entries();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const Matrix<float> drawn = uniform(rng, entries[i].rows, entries[i].cols, 0.7);
      std::copy_n(drawn.data(), drawn.size(), layer.parameters.writable(static_cast<int>(i)));
    }
    const Matrix<float> coefficients = uniform(rng, kTargets, c.out, 1.0);

    Tape<float> tape;
    std::vector<float> gradient(layer.parameters.flat().size(), 0.0F);
    const nn::BoundParameters<float> bound(tape, layer.parameters, gradient);
    Matrix<float> of_targets = Matrix<float>::Zero(kTargets, c.in);
    Matrix<float> of_sources = Matrix<float>::Zero(kNodes, c.in);
    const auto nodes = tape.leaf(sources, of_sources.data());
    const auto z =
        layer.forward(bound, tape.leaf(targets, of_targets.data()),
                      {kOffsets, autograd::gather_rows(nodes, std::span<const Index>(kSources)),
                       tape.constant(weights)});
    const std::string name = c.name;
    golden.expect(name + ".z", Matrix<float>(z.value()));
    // d(sum z * coefficients): one column of ones adds the rows' products up.
    const auto products = autograd::row_dot(z, tape.constant(coefficients));
    const std::vector<Index> whole{0, kTargets};
    tape.backward(autograd::segment_sum(products, std::span<const Index>(whole)));
    golden.expect(name + ".targets", of_targets);
    golden.expect(name + ".sources", of_sources);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      golden.expect(name + "." + std::to_string(i),
                    Eigen::Map<const Matrix<float>>(gradient.data() + entries[i].offset,
                                                    entries[i].rows, entries[i].cols));
    }
  }
}

class GnnLayer : public ::testing::TestWithParam<Case> {};

TEST_P(GnnLayer, GradientsAreFiniteDifferences) {
  const Case& c = GetParam();
  const Layer<double> layer = make_layer<double>(c.name, c.in, c.out, c.heads);
  std::vector<Input> inputs{testing::random_matrix(kTargets, c.in, 1),
                            testing::random_matrix(kNodes, c.in, 2)};
  for (const auto& entry : layer.parameters.entries()) {
    inputs.push_back(testing::random_matrix(entry.rows, entry.cols, 3 + inputs.size(), 0.5));
  }
  const Matrix<double> weights = mean_weights().cast<double>() * 0.9;
  expect_gradients(inputs, [&](Tape<double>& tape, const std::vector<Node>& in) {
    return layer.forward(nn::BoundParameters<double>(tape, std::span<const Node>(in).subspan(2)),
                         in[0],
                         {kOffsets, autograd::gather_rows(in[1], std::span<const Index>(kSources)),
                          tape.constant(weights)});
  });
}

TEST_P(GnnLayer, TargetsDoNotHearEachOther) {
  const Case& c = GetParam();
  const Layer<float> layer = make_layer<float>(c.name, c.in, c.out, c.heads);
  Rng rng(3);
  const Matrix<float> targets = uniform(rng, kTargets, c.in, 2.0);
  const Matrix<float> sources = uniform(rng, kNodes, c.in, 2.0), weights = mean_weights();
  const auto run = [&](std::span<const Index> offsets, std::span<const Index> edges,
                       MatrixView<float> x, MatrixView<float> w) {
    Tape<float> tape;
    const nn::BoundParameters<float> bound(tape, layer.parameters);
    return Matrix<float>(
        layer
            .forward(
                bound, tape.constant(x),
                {offsets, autograd::gather_rows(tape.constant(sources), edges), tape.constant(w)})
            .value());
  };
  const Matrix<float> all = run(kOffsets, kSources, targets, weights);
  for (Index t = 0; t < kTargets; ++t) {
    const auto at = static_cast<std::size_t>(t);
    const Index first = kOffsets[at], count = kOffsets[at + 1] - first;
    const std::vector<Index> alone{0, count};
    const Matrix<float> own = targets.row(t), own_weights = weights.middleRows(first, count);
    EXPECT_EQ(run(alone, std::span<const Index>(kSources).subspan(first, count), own, own_weights),
              all.row(t))
        << "target " << t;
  }
}

INSTANTIATE_TEST_SUITE_P(All, GnnLayer,
                         ::testing::Values(Case{"sage_mean", 3, 4, 1}, Case{"sage_max", 3, 4, 1},
                                           Case{"gcn", 3, 4, 1}, Case{"gat1", 3, 4, 1},
                                           Case{"gat2", 3, 4, 2}, Case{"attention", 3, 4, 2}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(AttentionLayer, WithoutQueriesIsAMeanByWeights) {
  nn::Parameters<double> parameters;
  Rng rng(1);
  const AttentionLayer<double> layer(parameters, "l", 2, 3, 4, 2, rng);
  const auto zero = [&](const char* name) {
    const int id = parameters.find(name);
    std::fill_n(parameters.writable(id), parameters.view(id).rows * parameters.view(id).cols, 0.0);
  };
  zero("l.query.weight");
  zero("l.self.weight");
  const Matrix<double> x = testing::random_matrix(1, 2, 1), rows = testing::random_matrix(3, 3, 2);
  Matrix<double> weights(3, 1);
  weights << 0.2, 0.5, 0.3;
  const std::vector<Index> offsets{0, 3};
  Tape<double> tape;
  Rng unused(0);
  const auto z = layer.forward(nn::BoundParameters<double>(tape, parameters), tape.constant(x),
                               {offsets, tape.constant(rows), tape.constant(weights)}, 0.0, unused);
  const Matrix<double> expected =
      weights.transpose() * rows * parameters.view(parameters.find("l.value.weight")).eigen();
  EXPECT_LT((z.value() - expected).norm(), 1e-12);
}

}  // namespace
}  // namespace ecseq::gnn
