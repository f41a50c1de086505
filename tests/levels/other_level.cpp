// A consumer that uses the kernels' headers, compiled for the oldest processors and without
// inlining, linked with a library that may be compiled for newer ones: each side must find its own
// copy of every kernel. Prints what differs; the exit code is the number of mistakes.

#include <cmath>
#include <cstdio>
#include <vector>

#include "ecseq/kernels/nearest.hpp"
#include "ecseq/nn/feed_forward.hpp"

namespace {

using ecseq::Index;
using ecseq::Matrix;

constexpr Index kRows = 7, kIn = 37, kOut = 19;
int mistakes = 0;

void expect_near(float got, double expected, const char* where, Index i, Index j) {
  if (std::abs(got - expected) <= 1e-4) return;
  std::printf("%s(%d, %d) is %g, not %g\n", where, static_cast<int>(i), static_cast<int>(j), got,
              expected);
  ++mistakes;
}

Matrix<float> drawn(Index rows, Index cols, ecseq::Rng& rng) {
  Matrix<float> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.uniform(-1, 1));
  return x;
}

double product(const float* x, const ecseq::MatrixView<float>& w, double bias, Index j) {
  for (Index k = 0; k < w.rows; ++k) bias += double(x[k]) * w(k, j);
  return bias;
}

}  // namespace

int main() {
  ecseq::Rng rng(5);
  const Matrix<float> x = drawn(kRows, kIn, rng), weight = drawn(kIn, kOut, rng);

  // This program's own kernels.
  const ecseq::kernels::PackedDense packed(weight, nullptr);
  std::vector<float> y(static_cast<std::size_t>(kRows * packed.padded()));
  ecseq::kernels::multiply(packed, x.data(), kIn, kRows, y.data());
  for (Index i = 0; i < kRows; ++i) {
    for (Index j = 0; j < kOut; ++j) {
      expect_near(y[static_cast<std::size_t>(i * packed.padded() + j)],
                  product(x.row(i).data(), weight, 0.0, j), "own product", i, j);
    }
  }

  // The library's.
  const ecseq::nn::FeedForward network(kIn, {kOut}, 3, rng);
  const auto& parameters = network.parameters();
  Matrix<float> z(kRows, kOut), out(kRows, 3);
  std::vector<float> scratch;
  const auto layers = network.pack();
  network.hidden_layer(layers, x.data(), kRows, z.data(), scratch);
  network.predict(layers, x.data(), kRows, out.data());
  for (Index i = 0; i < kRows; ++i) {
    for (Index j = 0; j < kOut; ++j) {
      const double hidden = product(x.row(i).data(), parameters.view(0), parameters.data(1)[j], j);
      expect_near(z(i, j), std::fmax(0.0, hidden), "hidden layer", i, j);
    }
    for (Index j = 0; j < 3; ++j) {
      expect_near(out(i, j), product(z.row(i).data(), parameters.view(2), parameters.data(3)[j], j),
                  "prediction", i, j);
    }
  }
  return mistakes;
}
