#include "ecseq/gnn/memory_layer.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

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

// As in tests/parity/memory_layer_torch.py: the second entity is remembered by nothing.
const std::vector<Index> kOffsets{0, 3, 3, 4, 10, 12};
constexpr Index kRows = 12, kEntities = 5, kColumns = 3, kSize = 8;

Matrix<float> uniform(Rng& rng, Index rows, Index cols, double bound) {
  Matrix<float> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) {
    x.data()[i] = static_cast<float>(rng.uniform(-bound, bound));
  }
  return x;
}

struct Case {
  const char* name;
  MemoryAggregation aggregation;
};

class MemoryLayers : public ::testing::TestWithParam<Case> {};

TEST_P(MemoryLayers, AreThoseOfPyTorch) {
  const Case& c = GetParam();
  const GoldenFile golden("memory_layer.txt");
  Rng rng(c.aggregation == MemoryAggregation::kGru ? 9100 : 9101);
  const Matrix<float> rows = uniform(rng, kRows, kColumns, 2.0);
  nn::Parameters<float> parameters;
  Rng unused(1);
  const MemoryLayer<float> layer(parameters, "l", c.aggregation, kColumns, kSize, unused);
  const auto& entries = parameters.entries();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Matrix<float> drawn = uniform(rng, entries[i].rows, entries[i].cols, 0.7);
    std::copy_n(drawn.data(), drawn.size(), parameters.writable(static_cast<int>(i)));
  }
  const Matrix<float> coefficients = uniform(rng, kEntities, kSize, 1.0);

  Tape<float> tape;
  std::vector<float> gradient(parameters.flat().size(), 0.0F);
  const nn::BoundParameters<float> bound(tape, parameters, gradient);
  Matrix<float> of_rows = Matrix<float>::Zero(kRows, kColumns);
  const auto z = layer.forward(bound, tape.leaf(rows, of_rows.data()), kOffsets);
  const std::string name = c.name;
  golden.expect(name + ".z", Matrix<float>(z.value()));
  const auto products = autograd::row_dot(z, tape.constant(coefficients));
  const std::vector<Index> whole{0, kEntities};
  tape.backward(autograd::segment_sum(products, std::span<const Index>(whole)));
  golden.expect(name + ".rows", of_rows);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    golden.expect(name + "." + std::to_string(i),
                  Eigen::Map<const Matrix<float>>(gradient.data() + entries[i].offset,
                                                  entries[i].rows, entries[i].cols));
  }
}

TEST_P(MemoryLayers, GradientsAreFiniteDifferences) {
  nn::Parameters<double> parameters;
  Rng rng(1);
  const MemoryLayer<double> layer(parameters, "l", GetParam().aggregation, kColumns, kSize, rng);
  std::vector<Input> inputs{testing::random_matrix(kRows, kColumns, 1)};
  for (const auto& entry : parameters.entries()) {
    inputs.push_back(testing::random_matrix(entry.rows, entry.cols, 2 + inputs.size(), 0.5));
  }
  expect_gradients(inputs, [&](Tape<double>& tape, const std::vector<Node>& in) {
    return layer.forward(nn::BoundParameters<double>(tape, std::span<const Node>(in).subspan(1)),
                         in[0], kOffsets);
  });
}

TEST_P(MemoryLayers, EntitiesDoNotHearEachOther) {
  nn::Parameters<float> parameters;
  Rng rng(2);
  const MemoryLayer<float> layer(parameters, "l", GetParam().aggregation, kColumns, kSize, rng);
  const Matrix<float> rows = uniform(rng, kRows, kColumns, 2.0);
  const auto run = [&](MatrixView<float> x, std::span<const Index> offsets) {
    Tape<float> tape;
    const nn::BoundParameters<float> bound(tape, parameters);
    return Matrix<float>(layer.forward(bound, tape.constant(x), offsets).value());
  };
  const Matrix<float> all = run(rows, kOffsets);
  for (Index i = 0; i < kEntities; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const Index length = kOffsets[at + 1] - kOffsets[at];
    const std::vector<Index> alone{0, length};
    const Matrix<float> own = rows.middleRows(kOffsets[at], length);
    EXPECT_EQ(run(own, alone), all.row(i)) << "entity " << i;
    EXPECT_EQ(all.row(i).isZero(0), length == 0) << "entity " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, MemoryLayers,
                         ::testing::Values(Case{"gru", MemoryAggregation::kGru},
                                           Case{"gnn", MemoryAggregation::kGnn}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(MemoryLayer, SharesAnEvenNumberOfColumns) {
  nn::Parameters<float> parameters;
  Rng rng(3);
  EXPECT_THROW(MemoryLayer<float>(parameters, "l", MemoryAggregation::kGnn, 3, 7, rng),
               InvalidArgument);
  EXPECT_NO_THROW(MemoryLayer<float>(parameters, "l", MemoryAggregation::kGru, 3, 7, rng));
}

}  // namespace
}  // namespace ecseq::gnn
