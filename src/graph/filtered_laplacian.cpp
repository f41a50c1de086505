#include "filtered_laplacian.hpp"

#include <algorithm>
#include <cmath>

namespace ecseq::graph {
namespace {

constexpr double kGrowth = 2.0;  // T_d is about cosh(2 kGrowth) at 0

}  // namespace

FilteredLaplacian::FilteredLaplacian(const Laplacian& laplacian, const LaplacianKernel& kernel,
                                     const Eigen::MatrixXd& known, double low, int threads,
                                     const std::function<void()>& breathe)
    : laplacian_(laplacian), kernel_(kernel), known_(known), threads_(threads), breathe_(breathe) {
  const double high = laplacian.upper_bound();
  centre_ = (high + low) / 2;
  radius_ = (high - low) / 2;
  degree_ = std::max(2, static_cast<int>(std::lround(kGrowth * std::sqrt(high / low))));
}

void FilteredLaplacian::perform_op(const double* in, double* out) const {
  const Eigen::Map<const Eigen::VectorXd> x(in, rows());
  Eigen::Map<Eigen::VectorXd> y(out, rows());
  before_ = x;
  Eigen::Map<Eigen::VectorXd> projected(before_.data(), rows());
  const auto project_out = [&](Eigen::Map<Eigen::VectorXd>& vector) {
    kernel_.project_out(vector);
    if (known_.cols() > 0) vector -= known_ * (known_.transpose() * vector);
  };
  project_out(projected);
  y = -2.0 * (x - projected);
  // T_1 = t, T_{i+1} = 2 t T_i - T_{i-1} with t = (c - L) / e
  breathe_();
  laplacian_.apply(-1.0 / radius_, before_, centre_ / radius_, 0.0, now_, threads_);
  for (int degree = 2; degree <= degree_; ++degree) {
    breathe_();
    laplacian_.apply(-2.0 / radius_, now_, 2.0 * centre_ / radius_, -1.0, before_, threads_);
    now_.swap(before_);
  }
  Eigen::Map<Eigen::VectorXd> result(now_.data(), rows());
  project_out(result);
  y += result;
}

double FilteredLaplacian::steepness(double value) const {
  const double t = std::max((centre_ - value) / radius_, 1.0 + 1e-12);
  const double angle = std::acosh(t);
  return degree_ * std::tanh(degree_ * angle) / (radius_ * std::sqrt(t * t - 1.0));
}

}  // namespace ecseq::graph
