#include "ecseq/pipeline/gate.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "ecseq/pipeline/metrics.hpp"

namespace ecseq::pipeline {
namespace {

// Weights (base, head, bias) start at the base alone and are held there by a light ridge, so that
// separable or tiny validation parts cannot send them to infinity.
constexpr double kRidge = 1e-3;
constexpr int kNewtonSteps = 50;

Gate from_weights(const Eigen::Vector3d& w) { return {true, w[0], w[1], w[2]}; }

/// Damped Newton on the ridge-penalised mean loss; 3 unknowns (the bias cancels in a softmax and
/// stays 0).
Eigen::Vector3d maximum_likelihood(const Matrix<float>& base, const Matrix<float>& head,
                                   const Targets& y, const std::vector<float>& weights) {
  const Eigen::Vector3d start(1.0, 0.0, 0.0);
  Eigen::Vector3d w = start;
  const auto objective = [&](const Eigen::Vector3d& at) {
    return mean_loss(from_weights(at).apply(base, head), y, weights) +
           0.5 * kRidge * (at - start).squaredNorm();
  };
  double value = objective(w);
  const double n = static_cast<double>(base.rows());
  for (int step = 0; step < kNewtonSteps; ++step) {
    Eigen::Vector3d gradient = kRidge * (w - start);
    Eigen::Matrix3d hessian = kRidge * Eigen::Matrix3d::Identity();
    const Matrix<float> p = probabilities(y.task, from_weights(w).apply(base, head));
    for (Index i = 0; i < base.rows(); ++i) {
      const auto target = static_cast<Index>(y.values[static_cast<std::size_t>(i)]);
      const double share = (weights.empty() ? 1.0 : weights[static_cast<std::size_t>(i)]) / n;
      // d logit_c / d w = (base_c, head_c, 1); for a softmax the mean over p is taken off.
      if (y.task == Task::kBinary) {
        const Eigen::Vector3d f(base(i, 0), head(i, 0), 1.0);
        gradient += share * (p(i, 1) - static_cast<double>(target)) * f;
        hessian += share * static_cast<double>(p(i, 1)) * p(i, 0) * f * f.transpose();
        continue;
      }
      Eigen::Vector3d mean = Eigen::Vector3d::Zero();
      Eigen::Matrix3d square = Eigen::Matrix3d::Zero();
      for (Index c = 0; c < p.cols(); ++c) {
        const Eigen::Vector3d f(base(i, c), head(i, c), 0.0);
        mean += p(i, c) * f;
        square += p(i, c) * f * f.transpose();
      }
      gradient += share * (mean - Eigen::Vector3d(base(i, target), head(i, target), 0.0));
      hessian += share * (square - mean * mean.transpose());
    }
    const Eigen::Vector3d direction = hessian.ldlt().solve(-gradient);
    double rate = 1.0;
    double next = objective(w + direction);
    while (!(next <= value) && rate > 1e-6) {
      rate *= 0.5;
      next = objective(w + rate * direction);
    }
    if (!(next <= value)) break;
    w += rate * direction;
    const bool converged = value - next < 1e-10;
    value = next;
    if (converged) break;
  }
  return w;
}

/// The share of the head's correction that rows `first`, first + step, ... want: least squares of
/// y - base on head - base, held within [0, 1]. There is no slope of the base and no bias: those
/// would follow a drift of the level between training and validation, which no relation explains.
double wanted_share(const Matrix<float>& base, const Matrix<float>& head, const Targets& y,
                    Index first, Index step) {
  double product = 0.0, square = 0.0;
  for (Index i = first; i < base.rows(); i += step) {
    const double correction = static_cast<double>(head(i, 0)) - base(i, 0);
    product += correction * (y.values[static_cast<std::size_t>(i)] - base(i, 0));
    square += correction * correction;
  }
  return square > 0.0 ? std::clamp(product / square, 0.0, 1.0) : 0.0;
}

/// Whether the share that every other row wants lowers the squared error of the rest as well.
bool helps_on_other_rows(const Matrix<float>& base, const Matrix<float>& head, const Targets& y) {
  double gain = 0.0;
  for (Index half = 0; half < 2; ++half) {
    const double share = wanted_share(base, head, y, half, 2);
    for (Index i = 1 - half; i < base.rows(); i += 2) {
      const double error = y.values[static_cast<std::size_t>(i)] - static_cast<double>(base(i, 0));
      const double left = error - share * (static_cast<double>(head(i, 0)) - base(i, 0));
      gain += error * error - left * left;
    }
  }
  return gain > 0.0;
}

Gate fit_share(const Matrix<float>& base, const Matrix<float>& head, const Targets& y) {
  if (!helps_on_other_rows(base, head, y)) return {};
  const double share = wanted_share(base, head, y, 0, 1);
  return share > 0.0 ? Gate{true, 1.0 - share, share, 0.0} : Gate{};
}

/// Whether any metric of `stacked` is worse than that of `base`.
bool worse_anywhere(const Matrix<float>& stacked, const Matrix<float>& base, const Targets& y,
                    const std::vector<float>& weights) {
  auto ours = metrics(stacked, y);
  auto theirs = metrics(base, y);
  if (!weights.empty()) {
    ours["log_loss"] = mean_loss(stacked, y, weights);
    theirs["log_loss"] = mean_loss(base, y, weights);
  }
  for (const auto& [name, value] : theirs) {
    if (name == "recall_at_p90" || name == "mae") continue;  // a few rows decide it, or not fitted
    const bool lower_is_better = name == "log_loss" || name == "rmse";
    const double gain = lower_is_better ? value - ours.at(name) : ours.at(name) - value;
    if (!(gain >= 0.0)) return true;
  }
  return false;
}

}  // namespace

Matrix<float> Gate::apply(const Matrix<float>& base, const Matrix<float>& head) const {
  if (!stacked) return base;
  Matrix<float> out(base.rows(), base.cols());
  for (Index i = 0; i < out.size(); ++i) {
    out.data()[i] = stack(base.data()[i], head.data()[i]);
  }
  return out;
}

Gate fit_gate(const Matrix<float>& base, const Matrix<float>& head, const Targets& y,
              const std::vector<float>& weights) {
  if (y.task == Task::kRegression) return fit_share(base, head, y);
  const Gate gate = from_weights(maximum_likelihood(base, head, y, weights));
  return worse_anywhere(gate.apply(base, head), base, y, weights) ? Gate{} : gate;
}

}  // namespace ecseq::pipeline
