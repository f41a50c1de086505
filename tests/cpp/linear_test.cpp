#include "ecseq/pipeline/linear.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "ecseq/core/rng.hpp"

namespace ecseq::pipeline {
namespace {

struct Problem {
  Matrix<float> x;
  Matrix<float> channels;
  std::vector<float> weights;
};

Problem make_problem(Index n, Index h, Index out, Task task, std::uint64_t seed) {
  Rng rng(seed);
  Problem problem{Matrix<float>(n, h), Matrix<float>::Zero(n, out), {}};
  for (Index i = 0; i < n; ++i) {
    for (Index k = 0; k < h; ++k) {
      problem.x(i, k) = static_cast<float>(3.0 + (1.0 + double(k)) * rng.normal());
    }
    const double signal = problem.x(i, 0) - 0.5 * problem.x(i, 1) + rng.normal();
    if (task == Task::kRegression) {
      problem.channels(i, 0) = static_cast<float>(signal);
    } else if (task == Task::kBinary) {
      problem.channels(i, 0) = signal > 1.5 ? 1.0f : 0.0f;
    } else {
      problem.channels(i, signal > 2.5 ? 2 : signal > 0.5 ? 1 : 0) = 1.0f;
    }
    problem.weights.push_back(static_cast<float>(rng.uniform(0.5, 1.5)));
  }
  return problem;
}

/// The gradient of the penalised loss at the solution, by its definition, in double.
double largest_gradient(const Problem& problem, const Network& network, Task task, double l2) {
  const Matrix<float> outputs = network.predict(problem.x, 1);
  const Matrix<float> scaled = network.scaler().apply(problem.x);
  const Index n = outputs.rows(), out = outputs.cols();
  Eigen::MatrixXd error(n, out);
  for (Index i = 0; i < n; ++i) {
    const Eigen::RowVectorXd z = outputs.row(i).cast<double>();
    Eigen::RowVectorXd p = z;
    if (task == Task::kBinary) p[0] = 1.0 / (1.0 + std::exp(-z[0]));
    if (task == Task::kMulticlass) {
      p = (z.array() - z.maxCoeff()).exp();
      p /= p.sum();
    }
    error.row(i) = (p - problem.channels.row(i).cast<double>()) *
                   static_cast<double>(problem.weights[static_cast<std::size_t>(i)]);
  }
  const Eigen::MatrixXd w = network.weights().parameters().view(0).eigen().cast<double>();
  const Eigen::MatrixXd gradient =
      (scaled.cast<double>().transpose() * error + l2 * w) / static_cast<double>(n);
  return std::max(gradient.cwiseAbs().maxCoeff(),
                  (error.colwise().sum() / static_cast<double>(n)).cwiseAbs().maxCoeff());
}

TEST(Linear, StandsAtTheMinimum) {
  for (const Task task : {Task::kBinary, Task::kMulticlass, Task::kRegression}) {
    const Index out = task == Task::kMulticlass ? 3 : 1;
    const Problem problem = make_problem(5000, 6, out, task, 1);
    const TrainingSet set{problem.x, problem.channels, problem.weights.data()};
    for (const double l2 : {1.0, 100.0}) {
      const Network network = fit_linear(set, task, 2, {}, l2);
      EXPECT_LT(largest_gradient(problem, network, task, l2), 2e-5);
    }
  }
}

TEST(Linear, IsBitIdenticalForEveryThreadCount) {
  for (const Task task : {Task::kBinary, Task::kRegression}) {
    const Problem problem = make_problem(20000, 9, 1, task, 2);
    const TrainingSet set{problem.x, problem.channels, nullptr};
    EXPECT_EQ(fit_linear(set, task, 1, {}).predict(problem.x, 1),
              fit_linear(set, task, 2, {}).predict(problem.x, 2));
  }
}

TEST(Linear, SeparableDataStaysFinite) {
  Problem problem = make_problem(200, 2, 1, Task::kBinary, 3);
  for (Index i = 0; i < 200; ++i) problem.channels(i, 0) = problem.x(i, 0) > 3.0f ? 1.0f : 0.0f;
  const Network network = fit_linear({problem.x, problem.channels, nullptr}, Task::kBinary, 1, {});
  const Matrix<float> outputs = network.predict(problem.x, 1);
  EXPECT_TRUE(outputs.allFinite());
  for (Index i = 0; i < 200; ++i) {
    if (std::abs(problem.x(i, 0) - 3.0f) > 0.3f) {
      EXPECT_EQ(outputs(i, 0) > 0, problem.channels(i, 0) > 0.5f);
    }
  }
}

TEST(Linear, ConstantColumnsDoNoHarm) {
  Problem problem = make_problem(500, 3, 1, Task::kRegression, 4);
  problem.x.col(2).setConstant(1e6f);
  const Network network =
      fit_linear({problem.x, problem.channels, nullptr}, Task::kRegression, 1, {});
  EXPECT_TRUE(network.predict(problem.x, 1).allFinite());
}

}  // namespace
}  // namespace ecseq::pipeline
