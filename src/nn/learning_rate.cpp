#include "ecseq/nn/learning_rate.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ecseq/core/require.hpp"

namespace ecseq::nn {
namespace {

constexpr double kPlateauFactor = 0.5;
constexpr double kPlateauFloor = 1e-3;

}  // namespace

LearningRate::LearningRate(const std::string& schedule, double start, Index total_steps,
                           int patience)
    : schedule_(schedule == "cosine"    ? Schedule::kCosine
                : schedule == "plateau" ? Schedule::kPlateau
                                        : Schedule::kConstant),
      start_(start),
      total_steps_(static_cast<double>(total_steps)),
      patience_(patience) {
  require_one_of("schedule", schedule, {"constant", "cosine", "plateau"});
}

double LearningRate::now() const {
  if (schedule_ != Schedule::kCosine) return start_ * scale_;
  const double done = static_cast<double>(step_) / total_steps_;
  return start_ * (0.5 * (1.0 + std::cos(std::numbers::pi * done)));
}

void LearningRate::finish_epoch(bool better) {
  if (schedule_ != Schedule::kPlateau) return;
  waited_ = better ? 0 : waited_ + 1;
  if (waited_ < patience_) return;
  waited_ = 0;
  scale_ = std::max(kPlateauFloor, scale_ * kPlateauFactor);
}

}  // namespace ecseq::nn
