#pragma once

#include <span>

#include "ecseq/kernels/pool.hpp"
#include "ecseq/nn/recurrent_layer.hpp"

namespace ecseq::nn::inline ECSEQ_LEVEL {

enum class Pooling { kMean, kMax };

/// One row per sequence from the states of all its events: their mean or elementwise maximum.
/// states: [events of the batch, width]; result: [sequences, width]
template <class Scalar>
class PoolStates final : public autograd::Operation<Scalar> {
 public:
  using V = autograd::Variable<Scalar>;
  PoolStates(std::span<const kernels::EventRun> runs, V states, Pooling pooling)
      : runs_(runs), states_(states), pooling_(pooling) {}

  void forward(autograd::Values<Scalar> y) override {
    const Index width = states_.cols();
    if (pooling_ == Pooling::kMax) {
      which_ = states_.tape().template scratch_of<Index>(y.rows() * width);
    }
    for (const auto& run : runs_) {
      const Scalar* rows = states_.value().data() + run.first * width;
      Scalar* out = y.data() + run.result * width;
      if (pooling_ == Pooling::kMean) {
        kernels::mean_of_rows(rows, run.length, width, out);
      } else {
        kernels::max_of_rows(rows, run.length, width, out, which_ + run.result * width);
      }
    }
  }

  // mean: each event's dh = dy / length;  max: dy goes to the event that had it
  void backward(autograd::ConstValues<Scalar>, autograd::ConstValues<Scalar> dy) override {
    const Index width = states_.cols();
    for (const auto& run : runs_) {
      auto rows = states_.gradient().middleRows(run.first, run.length);
      if (pooling_ == Pooling::kMean) {
        rows.rowwise() += dy.row(run.result) / static_cast<Scalar>(run.length);
      } else {
        for (Index j = 0; j < width; ++j) {
          rows(which_[run.result * width + j], j) += dy(run.result, j);
        }
      }
    }
  }

 private:
  std::span<const kernels::EventRun> runs_;
  V states_;
  Pooling pooling_;
  Index* which_ = nullptr;  ///< [sequences, width] events; maximum only
};

template <class Scalar>
autograd::Variable<Scalar> pool_states(const RecurrentBatch& batch,
                                       autograd::Variable<Scalar> states, Pooling pooling) {
  autograd::require_shape(states, batch.events, states.cols(), "states");
  return states.tape().template apply<PoolStates<Scalar>>(static_cast<Index>(batch.runs.size()),
                                                          states.cols(), states.needs_gradient(),
                                                          batch.runs, states, pooling);
}

}  // namespace ecseq::nn::inline ECSEQ_LEVEL
