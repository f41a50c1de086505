#include "ecseq/pipeline/linear.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <deque>

#include "ecseq/core/parallel.hpp"

namespace ecseq::pipeline {
namespace {

using MatrixXd = Matrix<double>;

constexpr Index kChunk = 4096;
constexpr int kIterations = 200;
constexpr std::size_t kMemory = 10;
constexpr double kTolerance = 1e-7;

/// Adds up what `work(begin, end, sum)` makes of each chunk of rows, in the order of the chunks.
template <class Work>
MatrixXd sum_over_chunks(Index n, Index rows, Index cols, int threads, const Work& work) {
  const Index chunks = (n + kChunk - 1) / kChunk;
  std::vector<MatrixXd> parts(static_cast<std::size_t>(chunks));
  parallel_for(chunks, threads, [&](Index c) {
    MatrixXd& sum = parts[static_cast<std::size_t>(c)];
    sum = MatrixXd::Zero(rows, cols);
    work(c * kChunk, std::min(n, (c + 1) * kChunk), sum);
  });
  MatrixXd total = MatrixXd::Zero(rows, cols);
  for (const auto& part : parts) total += part;
  return total;
}

double weight_of(const TrainingSet& training, Index i) {
  return training.weights ? static_cast<double>(training.weights[i]) : 1.0;
}

/// The mean negative log likelihood and its gradient, with the ridge. w: [in + 1, out], the last
/// row is the bias.
class Likelihood {
 public:
  Likelihood(const Matrix<float>& inputs, const TrainingSet& training, Task task, double l2,
             int threads)
      : inputs_(inputs),
        training_(training),
        task_(task),
        threads_(threads),
        ridge_(l2 / static_cast<double>(inputs.rows())) {}

  double operator()(const MatrixXd& w, MatrixXd& gradient) const {
    const Index in = inputs_.cols(), out = w.cols();
    const double n = static_cast<double>(inputs_.rows());
    const auto sums = sum_over_chunks(
        inputs_.rows(), in + 2, out, threads_, [&](Index begin, Index end, MatrixXd& sum) {
          const MatrixXd x = inputs_.middleRows(begin, end - begin).cast<double>();
          MatrixXd z = x * w.topRows(in);
          z.rowwise() += w.row(in);
          for (Index i = begin; i < end; ++i) {
            auto row = z.row(i - begin);
            const double weight = weight_of(training_, i);
            sum(in + 1, 0) += weight * loss_and_error(row, training_.channels.row(i));
            row *= weight;
          }
          sum.topRows(in) = x.transpose() * z;
          sum.row(in) = z.colwise().sum();
        });
    gradient = sums.topRows(in + 1) / n;
    gradient.topRows(in) += ridge_ * w.topRows(in);
    return sums(in + 1, 0) / n + 0.5 * ridge_ * w.topRows(in).squaredNorm();
  }

 private:
  /// Replaces the logits by d loss / d logits = p - y; returns the loss. y: probabilities.
  template <class Row>
  double loss_and_error(Row&& z, const float* y) const {
    if (task_ == Task::kBinary) {
      const double logit = z[0];
      const double odds = std::exp(-std::abs(logit));
      z[0] = (logit < 0.0 ? odds : 1.0) / (1.0 + odds) - y[0];
      return std::max(logit, 0.0) - logit * y[0] + std::log1p(odds);
    }
    const double highest = z.maxCoeff();
    double sum = 0.0;
    for (Index c = 0; c < z.size(); ++c) sum += std::exp(z[c] - highest);
    const double log_sum = highest + std::log(sum);
    double loss = 0.0;
    for (Index c = 0; c < z.size(); ++c) {
      loss += y[c] * (log_sum - z[c]);
      z[c] = std::exp(z[c] - log_sum) - y[c];
    }
    return loss;
  }

  const Matrix<float>& inputs_;
  const TrainingSet& training_;
  Task task_;
  int threads_;
  double ridge_;
};

double dot(const MatrixXd& a, const MatrixXd& b) { return a.cwiseProduct(b).sum(); }

/// Nocedal & Wright, algorithm 7.4 (two loops), with a backtracking line search.
MatrixXd minimise(const Likelihood& likelihood, MatrixXd w, const ProgressCallback& progress) {
  std::deque<MatrixXd> steps, changes;
  MatrixXd gradient;
  double value = likelihood(w, gradient);
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    report(progress, {"base", iteration, kIterations, ""});
    if (gradient.cwiseAbs().maxCoeff() < kTolerance) break;
    MatrixXd direction = -gradient;
    std::vector<double> alpha(steps.size());
    for (std::size_t j = steps.size(); j-- > 0;) {
      alpha[j] = dot(steps[j], direction) / dot(steps[j], changes[j]);
      direction -= alpha[j] * changes[j];
    }
    if (!steps.empty()) {
      direction *= dot(steps.back(), changes.back()) / changes.back().squaredNorm();
    }
    for (std::size_t j = 0; j < steps.size(); ++j) {
      const double beta = dot(changes[j], direction) / dot(steps[j], changes[j]);
      direction += (alpha[j] - beta) * steps[j];
    }
    const double slope = dot(gradient, direction);
    double rate = 1.0;
    MatrixXd next_gradient, next = w + direction;
    double next_value = likelihood(next, next_gradient);
    while (!(next_value <= value + 1e-4 * rate * slope) && rate > 1e-10) {
      rate *= 0.5;
      next = w + rate * direction;
      next_value = likelihood(next, next_gradient);
    }
    if (!(next_value <= value)) break;
    const MatrixXd step = next - w, change = next_gradient - gradient;
    if (dot(step, change) > 1e-12) {
      steps.push_back(step);
      changes.push_back(change);
      if (steps.size() > kMemory) {
        steps.pop_front();
        changes.pop_front();
      }
    }
    const bool converged = value - next_value < 1e-12 * std::max(1.0, std::abs(value));
    w = next;
    value = next_value;
    gradient = next_gradient;
    if (converged) break;
  }
  return w;
}

MatrixXd least_squares(const Matrix<float>& inputs, const TrainingSet& training, double l2,
                       int threads) {
  const Index in = inputs.cols(), out = training.channels.cols;
  const auto with_bias = [&](Index begin, Index end) {
    MatrixXd x(end - begin, in + 1);
    x.leftCols(in) = inputs.middleRows(begin, end - begin).cast<double>();
    x.col(in).setOnes();
    return x;
  };
  const auto sums = sum_over_chunks(
      inputs.rows(), in + 1, in + 1 + out, threads, [&](Index begin, Index end, MatrixXd& sum) {
        const MatrixXd x = with_bias(begin, end);
        MatrixXd weighted = x;
        for (Index i = begin; i < end; ++i) weighted.row(i - begin) *= weight_of(training, i);
        const MatrixXd y = training.channels.eigen().middleRows(begin, end - begin).cast<double>();
        sum.leftCols(in + 1) = weighted.transpose() * x;
        sum.rightCols(out) = weighted.transpose() * y;
      });
  MatrixXd normal = sums.leftCols(in + 1);
  normal.diagonal().head(in).array() += l2;
  return normal.ldlt().solve(sums.rightCols(out));
}

}  // namespace

Network fit_linear(const TrainingSet& training, Task task, int num_threads,
                   const ProgressCallback& progress, double l2) {
  const nn::Scaler scaler = nn::Scaler::fit(training.inputs);
  const Matrix<float> inputs = scaler.apply(training.inputs);
  const Index in = inputs.cols(), out = training.channels.cols;
  const MatrixXd w = task == Task::kRegression
                         ? least_squares(inputs, training, l2, num_threads)
                         : minimise(Likelihood(inputs, training, task, l2, num_threads),
                                    MatrixXd::Zero(in + 1, out), progress);
  Rng unused(0);
  nn::FeedForward network(in, {}, out, unused);
  auto& parameters = network.parameters();
  for (Index k = 0; k < in; ++k) {
    for (Index c = 0; c < out; ++c)
      parameters.writable(0)[k * out + c] = static_cast<float>(w(k, c));
  }
  for (Index c = 0; c < out; ++c) parameters.writable(1)[c] = static_cast<float>(w(in, c));
  return Network(scaler, std::move(network));
}

}  // namespace ecseq::pipeline
