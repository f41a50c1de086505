#pragma once

#include <functional>
#include <span>
#include <string>

#include "ecseq/core/progress.hpp"
#include "ecseq/core/targets.hpp"
#include "ecseq/nn/training.hpp"

namespace ecseq::pipeline {

/// "auto": cross-entropy (binary for two classes) or squared error; "huber": of a standardised
/// regression target, delta 1; "paper": squared error of the sigmoid (ECSeq's released code), the
/// plain squared error for regression. Throws InvalidArgument where a loss does not fit the task.
void require_loss(const std::string& loss, Task task);

/// What a network is to say of each row. Targets are label channels: probabilities of the classes,
/// or standardised values.
struct Supervision {
  MatrixView<float> channels;      ///< [n, out]
  const float* weights = nullptr;  ///< [n] or null; mean 1
  Task task = Task::kBinary;
  std::string loss = "auto";
  std::string selection = "auto";  ///< what early stopping watches, see selection_score
};

/// The sum of the losses of some rows' outputs [rows, out].
autograd::Variable<float> loss_of(autograd::Variable<float> prediction,
                                  const Supervision& supervision, std::span<const Index> rows);

/// Outputs of the rows on the tape, [rows, out]; called from several threads at once.
using Forward = std::function<autograd::Variable<float>(const nn::BoundParameters<float>& bound,
                                                        std::span<const Index> rows, Rng& rng)>;
/// Outputs of the validation rows with given parameters: [m, out].
using Predict = std::function<Matrix<float>(const nn::Parameters<float>& parameters)>;

/// Trains `parameters` by mini-batches; validation outputs against `y_validation` (a regression
/// target standardised as the channels are) stop it early. Throws Interrupted where the callback
/// says so, however far it came.
nn::TrainingReport train_supervised(nn::Parameters<float>& parameters, const Forward& forward,
                                    const Supervision& supervision, const Predict& predict,
                                    const Targets& y_validation, nn::TrainingOptions options,
                                    const ProgressCallback& progress);

}  // namespace ecseq::pipeline
