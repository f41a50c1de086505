#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "ecseq/core/rng.hpp"
#include "ecseq/kernels/attention.hpp"
#include "ecseq/kernels/gelu.hpp"
#include "ecseq/kernels/layer_norm.hpp"
#include "ecseq/kernels/packed_matrix.hpp"

namespace ecseq::kernels {
namespace {

/// f over every element of x, whole vectors at a time.
template <class Scalar, class F>
std::vector<Scalar> map(std::vector<Scalar> x, F f) {
  const std::size_t size = x.size();
  x.resize(static_cast<std::size_t>(round_up<Scalar>(static_cast<std::int64_t>(size))));
  for (std::size_t i = 0; i < x.size(); i += kLanes<Scalar>) store(&x[i], f(load(&x[i])));
  x.resize(size);
  return x;
}

template <class Scalar>
std::vector<Scalar> grid(double low, double high, double step) {
  std::vector<Scalar> x;
  for (double v = low; v <= high; v += step) x.push_back(static_cast<Scalar>(v));
  return x;
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNaN = std::nanf("");

template <class Scalar>
std::vector<Scalar> drawn(Rng& rng, Index size) {
  std::vector<Scalar> x(static_cast<std::size_t>(size));
  for (Scalar& v : x) v = static_cast<Scalar>(rng.normal());
  return x;
}

TEST(VectorExp, IsCloseToTheLibrary) {
  const auto x = grid<float>(-87.3, 88.7, 1.0 / 1024);
  const auto y = map(x, [](Vec<float> v) { return exp(v); });
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    ASSERT_NEAR(y[i], exact, 2e-7 * exact) << x[i];
  }
}

TEST(VectorExp, LeavesTheRangeOfNumbersAsTheLibraryDoes) {
  const auto y = map(
      std::vector<float>{-kInfinity, -1e30F, -104.5F, 0.0F, -0.0F, 88.8F, 1e30F, kInfinity, kNaN},
      [](Vec<float> v) { return exp(v); });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(y[static_cast<std::size_t>(i)], 0.0F);
  EXPECT_EQ(y[3], 1.0F);
  EXPECT_EQ(y[4], 1.0F);
  for (std::size_t i = 5; i < 8; ++i) EXPECT_EQ(y[i], kInfinity);
  EXPECT_TRUE(std::isnan(y[8]));
  for (const float x : {-88.0F, -95.0F, -103.0F}) {  // denormal results
    const auto e = map(std::vector<float>{x}, [](Vec<float> v) { return exp(v); });
    EXPECT_NEAR(e[0], std::exp(x), 1.5e-45) << x;
  }
}

TEST(VectorExp, DoubleIsTheLibrarys) {
  const auto x = grid<double>(-750, 700, 0.37);
  const auto y = map(x, [](Vec<double> v) { return exp(v); });
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], std::exp(x[i]));
}

TEST(VectorNormal, DistributionAndDensityAreCloseToTheFormula) {
  auto x = grid<float>(-14.0, 14.0, 1.0 / 1024);
  x.insert(x.end(), {-1e30F, 1e30F, kInfinity, -kInfinity, 0.0F});
  const auto phi = map(x, [](Vec<float> v) { return normal(v).distribution; });
  const auto density = map(x, [](Vec<float> v) { return normal(v).density; });
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto exact = static_cast<double>(x[i]);
    ASSERT_NEAR(phi[i], 0.5 * std::erfc(-exact / std::sqrt(2.0)), 3e-7) << x[i];
    ASSERT_NEAR(density[i], std::exp(-0.5 * exact * exact) / std::sqrt(2 * M_PI), 1e-7) << x[i];
  }
  for (const float y : map(std::vector<float>(kLanes<float>, kNaN),
                           [](Vec<float> v) { return normal(v).distribution; })) {
    EXPECT_TRUE(std::isnan(y));
  }
}

TEST(VectorGelu, IsCloseToTheFormulaAndItsSlopeToTheDerivative) {
  const auto x = grid<float>(-9.0, 9.0, 1.0 / 512);
  const auto y = map(x, [](Vec<float> v) { return gelu<float>(v); });
  const auto slope = map(x, [](Vec<float> v) { return gelu_slope<float>(v); });
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto v = static_cast<double>(x[i]);
    const double phi = 0.5 * std::erfc(-v / std::sqrt(2.0));
    ASSERT_NEAR(y[i], v * phi, 3e-7 * std::max(1.0, std::abs(v))) << v;
    ASSERT_NEAR(slope[i], phi + v * std::exp(-0.5 * v * v) / std::sqrt(2 * M_PI), 5e-7) << v;
  }
}

template <class Scalar>
void expect_products() {
  Rng rng(1);
  constexpr Index kWidth = kLanes<Scalar>;
  for (const Index rows : {1, 2, 5, 6, 7, 13}) {
    for (const Index panels : {1, 2, 3, 4, 7}) {
      const Index depth = 9, cols = panels * kWidth;
      const auto x = drawn<Scalar>(rng, rows * depth), w = drawn<Scalar>(rng, depth * cols);
      const auto run = [&](const LeftFactor<Scalar>& left, Index first, Index count) {
        std::vector<Scalar> y(static_cast<std::size_t>(rows * cols));
        product<Scalar>(
            left, {w.data(), cols, kWidth}, depth, {first, count, 0, panels},
            [](Index row, Index) { return broadcast(static_cast<Scalar>(row)); },
            [&](Index row, Index panel, Vec<Scalar> v) {
              store(y.data() + row * cols + panel * kWidth, v);
            });
        return y;
      };
      std::vector<Scalar> transposed(x.size());
      for (Index i = 0; i < rows; ++i) {
        for (Index k = 0; k < depth; ++k) {
          transposed[static_cast<std::size_t>(k * rows + i)] =
              x[static_cast<std::size_t>(i * depth + k)];
        }
      }
      const auto y = run({x.data(), depth}, 0, rows);
      EXPECT_EQ(y, run({transposed.data(), 1, rows}, 0, rows));
      for (Index i = 0; i < rows; ++i) {
        const auto alone = run({x.data(), depth}, i, 1);  // in a tile of one row
        for (Index j = 0; j < cols; ++j) {
          const auto at = static_cast<std::size_t>(i * cols + j);
          double exact = static_cast<double>(i);
          for (Index k = 0; k < depth; ++k) {
            exact += static_cast<double>(x[static_cast<std::size_t>(i * depth + k)]) *
                     static_cast<double>(w[static_cast<std::size_t>(k * cols + j)]);
          }
          ASSERT_NEAR(y[at], exact, 1e-5);
          ASSERT_EQ(alone[at], y[at]);
        }
      }
    }
  }
}

TEST(Product, EachElementIsTheSumInOrderInEveryTile) {
  expect_products<float>();
  expect_products<double>();
}

TEST(PackedMatrix, PaddingColumnsAreZero) {
  Rng rng(2);
  const Index in = 3, out = kLanes<float> + 1;
  const auto w = drawn<float>(rng, in * out), b = drawn<float>(rng, out);
  const PackedMatrix packed({w.data(), in, out}, b.data(), 3 * kLanes<float>);
  ASSERT_EQ(packed.padded(), 3 * kLanes<float>);
  const std::vector<float> one(static_cast<std::size_t>(in), 1.0F);
  product<float>(
      {one.data(), in}, packed.right(), in, {0, 1, 0, packed.panels()},
      [&](Index, Index panel) { return packed.bias(panel); },
      [&](Index, Index panel, Vec<float> v) {
        for (Index l = 0; l < kLanes<float>; ++l) {
          const auto j = static_cast<std::size_t>(panel * kLanes<float> + l);
          const float expected = static_cast<Index>(j) < out
                                     ? b[j] + w[j] + w[j + static_cast<std::size_t>(out)] +
                                           w[j + static_cast<std::size_t>(2 * out)]
                                     : 0.0F;
          EXPECT_NEAR(v[l], expected, 1e-6F);
        }
      });
}

TEST(LayerNormKernel, RowsAreTheFormulaAndNothingBehindThemIsTouched) {
  Rng rng(3);
  for (const Index cols : {1, 3, 16, 33, 64}) {
    const Index rows = 4, stride = cols + 5;
    const auto x = drawn<float>(rng, rows * stride), gain = drawn<float>(rng, cols),
               bias = drawn<float>(rng, cols);
    auto y = x;
    layer_norm(y.data(), rows, cols, stride, gain.data(), bias.data(), 1e-5F, y.data());
    for (Index i = 0; i < rows; ++i) {
      double mean = 0.0, variance = 0.0;
      const float* row = x.data() + i * stride;
      for (Index j = 0; j < cols; ++j) mean += row[j] / static_cast<double>(cols);
      for (Index j = 0; j < cols; ++j) {
        variance += (row[j] - mean) * (row[j] - mean) / static_cast<double>(cols);
      }
      for (Index j = 0; j < stride; ++j) {
        const auto at = static_cast<std::size_t>(j);
        const float got = y[static_cast<std::size_t>(i * stride + j)];
        if (j >= cols) {
          EXPECT_EQ(got, row[j]);
        } else {
          EXPECT_NEAR(got, gain[at] * (row[j] - mean) / std::sqrt(variance + 1e-5) + bias[at],
                      1e-5);
        }
      }
    }
  }
}

TEST(AttendKernel, IsTheFormula) {
  Rng rng(4);
  for (const Index length : {1, 2, 24, 49, 130}) {
    for (const Index size : {1, 4, 16, 19}) {
      for (const bool causal : {false, true}) {
        const Index padded = round_up<float>(size), stride = 2 * size + padded;
        const auto x = drawn<float>(rng, length * stride);
        std::vector<float> scratch(static_cast<std::size_t>(attention_scratch_size(length, size)));
        std::vector<float> y(static_cast<std::size_t>(length * padded));
        attend({x.data(), x.data() + size, x.data() + 2 * size, stride, length, size, causal},
               y.data(), padded, scratch.data());
        for (Index i = 0; i < length; ++i) {
          const float* q = x.data() + i * stride;
          std::vector<double> expected(static_cast<std::size_t>(size), 0.0);
          double sum = 0.0;
          for (Index j = 0; j < (causal ? i + 1 : length); ++j) {
            const float* k = x.data() + j * stride + size;
            double score = 0.0;
            for (Index d = 0; d < size; ++d) score += static_cast<double>(q[d]) * k[d];
            const double weight = std::exp(score / std::sqrt(static_cast<double>(size)));
            sum += weight;
            for (Index d = 0; d < size; ++d) {
              expected[static_cast<std::size_t>(d)] += weight * k[size + d];
            }
          }
          for (Index d = 0; d < size; ++d) {
            ASSERT_NEAR(y[static_cast<std::size_t>(i * padded + d)],
                        expected[static_cast<std::size_t>(d)] / sum, 1e-5)
                << length << " " << size << " " << causal << " " << i << " " << d;
          }
        }
      }
    }
  }
}

TEST(PackedMatrix, ARowAloneIsTheProductUpToRounding) {
  Rng rng(3);
  for (const Index in : {1, 3, 4, 7, 32, 123}) {
    for (const Index out : {1, 5, 16, 17, 32, 33, 70}) {
      Matrix<float> weight(in, out);
      std::vector<float> bias, x;
      for (Index i = 0; i < weight.size(); ++i) {
        weight.data()[i] = static_cast<float>(rng.normal());
      }
      for (Index j = 0; j < out; ++j) bias.push_back(static_cast<float>(rng.normal()));
      for (Index k = 0; k < in; ++k) x.push_back(static_cast<float>(rng.normal()));
      const PackedMatrix packed(weight, bias.data());
      std::vector<float> y(static_cast<std::size_t>(packed.padded()));
      project_row(packed, x.data(), y.data());
      for (Index j = 0; j < packed.padded(); ++j) {
        double expected = j < out ? bias[static_cast<std::size_t>(j)] : 0.0;
        for (Index k = 0; j < out && k < in; ++k) {
          expected += static_cast<double>(x[static_cast<std::size_t>(k)]) * weight(k, j);
        }
        ASSERT_NEAR(y[static_cast<std::size_t>(j)], expected, 1e-5 * static_cast<double>(in + 1));
      }
    }
  }
}

}  // namespace
}  // namespace ecseq::kernels
