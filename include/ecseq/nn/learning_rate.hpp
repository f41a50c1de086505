#pragma once

#include <string>

#include "ecseq/core/matrix.hpp"

namespace ecseq::nn {

/// The learning rate of each optimiser step.
///   "constant"  the start
///   "cosine"    start (1 + cos(pi t / total)) / 2 at step t of `total` (Loshchilov and Hutter
///   2017,
///               equation 5, without restarts)
///   "plateau"   halved after each `patience` epochs without a better validation score, down to a
///               thousandth of the start
class LearningRate {
 public:
  /// Throws InvalidArgument if there is no such schedule.
  LearningRate(const std::string& schedule, double start, Index total_steps, int patience);

  double now() const;
  void finish_step() { ++step_; }
  /// better: whether its validation score was the best so far
  void finish_epoch(bool better);

 private:
  enum class Schedule { kConstant, kCosine, kPlateau };
  Schedule schedule_;
  double start_;
  double total_steps_;
  int patience_;
  Index step_ = 0;
  int waited_ = 0;  ///< epochs since the last better one or the last change
  double scale_ = 1.0;
};

}  // namespace ecseq::nn
