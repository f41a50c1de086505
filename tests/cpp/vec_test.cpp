#include "ecseq/kernels/vec.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace ecseq::kernels {
namespace {

/// f over every element of x, whole vectors at a time.
template <class Scalar, class F>
std::vector<Scalar> map(std::vector<Scalar> x, F f) {
  const std::size_t size = x.size();
  x.resize(static_cast<std::size_t>(round_up<Scalar>(static_cast<std::int64_t>(size))));
  for (std::size_t i = 0; i < x.size(); i += kLanes<Scalar>) {
    store(&x[i], f(load(&x[i])));
  }
  x.resize(size);
  return x;
}

std::vector<float> dense_grid() {
  std::vector<float> x;
  for (double v = -30.0; v <= 30.0; v += 1.0 / 4096) x.push_back(static_cast<float>(v));
  for (double v = 1e-30; v < 1e38; v *= 1.01) {
    x.push_back(static_cast<float>(v));
    x.push_back(static_cast<float>(-v));
  }
  const float inf = std::numeric_limits<float>::infinity();
  x.insert(x.end(), {inf, -inf, std::numeric_limits<float>::max(), 0.0F, -0.0F, 7.90531110F,
                     -7.90531110F, 7.9053116F});
  return x;
}

TEST(Vec, TanhIsCloseToTheLibraryAndNeverPassesOne) {
  const auto x = dense_grid();
  const auto y = map(x, [](Vec<float> v) { return tanh(v); });
  for (std::size_t i = 0; i < x.size(); ++i) {
    ASSERT_NEAR(y[i], std::tanh(static_cast<double>(x[i])), 5e-7) << x[i];
    ASSERT_LE(std::abs(y[i]), 1.0F) << x[i];
  }
}

TEST(Vec, TanhIsRelativelyExactNearZero) {
  for (float v = 1e-30F; v < 0.5F; v *= 1.1F) {
    const auto y = map(std::vector<float>{v, -v}, [](Vec<float> a) { return tanh(a); });
    ASSERT_NEAR(y[0] / std::tanh(static_cast<double>(v)), 1.0, 1e-6) << v;
    ASSERT_EQ(y[1], -y[0]) << v;
  }
}

TEST(Vec, SigmoidIsCloseToTheLibraryAndStaysInItsRange) {
  const auto x = dense_grid();
  const auto y = map(x, [](Vec<float> v) { return sigmoid(v); });
  for (std::size_t i = 0; i < x.size(); ++i) {
    ASSERT_NEAR(y[i], 1.0 / (1.0 + std::exp(-static_cast<double>(x[i]))), 4e-7) << x[i];
    ASSERT_GE(y[i], 0.0F) << x[i];
    ASSERT_LE(y[i], 1.0F) << x[i];
  }
}

TEST(Vec, NaNStaysNaN) {
  const std::vector<float> nan(kLanes<float>, std::nanf(""));
  for (const float y : map(nan, [](Vec<float> v) { return tanh(v); })) EXPECT_TRUE(std::isnan(y));
  for (const float y : map(nan, [](Vec<float> v) { return sigmoid(v); }))
    EXPECT_TRUE(std::isnan(y));
}

TEST(Vec, NaNInOneLaneTouchesNoOther) {
  std::vector<float> x(kLanes<float>, 0.75F);
  x[1] = std::nanf("");
  const auto y = map(x, [](Vec<float> v) { return tanh(v); });
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (i == 1) {
      EXPECT_TRUE(std::isnan(y[i]));
    } else {
      EXPECT_NEAR(y[i], std::tanh(0.75), 5e-7);
    }
  }
}

TEST(Vec, DoubleFunctionsAreTheLibrarys) {
  std::vector<double> x;
  for (double v = -40; v <= 40; v += 0.37) x.push_back(v);
  const auto t = map(x, [](Vec<double> v) { return tanh(v); });
  const auto s = map(x, [](Vec<double> v) { return sigmoid(v); });
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(t[i], std::tanh(x[i]));
    EXPECT_NEAR(s[i], 1 / (1 + std::exp(-x[i])), 1e-15);
  }
}

TEST(Vec, DivideIsWithinTwoUlps) {
  std::vector<float> q;
  for (float v = 1e-4F; v < 1e4F; v *= 1.001F) q.push_back(v);
  const auto y = map(q, [](Vec<float> v) { return divide(broadcast(3.0F), v); });
  for (std::size_t i = 0; i < q.size(); ++i) {
    const double exact = 3.0 / static_cast<double>(q[i]);
    ASSERT_NEAR(y[i], exact, exact * 2.4e-7) << q[i];
  }
}

TEST(Vec, MinAndMaxKeepTheSecondWhereEitherIsNaN) {
  const float nan = std::nanf("");
  const auto low = map(std::vector<float>{nan, 1.0F, 3.0F},
                       [](Vec<float> v) { return min(broadcast(2.0F), v); });
  EXPECT_TRUE(std::isnan(low[0]));
  EXPECT_EQ(low[1], 1.0F);
  EXPECT_EQ(low[2], 2.0F);
  const auto high = map(std::vector<float>{nan, 1.0F, 3.0F},
                        [](Vec<float> v) { return max(v, broadcast(2.0F)); });
  EXPECT_EQ(high[0], 2.0F);
  EXPECT_EQ(high[1], 2.0F);
  EXPECT_EQ(high[2], 3.0F);
}

TEST(Vec, RoundUpGivesWholeVectors) {
  EXPECT_EQ(round_up<float>(1), kLanes<float>);
  EXPECT_EQ(round_up<float>(kLanes<float>), kLanes<float>);
  EXPECT_EQ(round_up<double>(kLanes<double> + 1), 2 * kLanes<double>);
  EXPECT_EQ(round_up<float>(0), 0);
}

}  // namespace
}  // namespace ecseq::kernels
