#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace ecseq::nn {

/// Turns gradients into steps. What it remembers between steps is allocated by the constructor.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// One step against `gradient`; both flat, of the size the optimiser was made for.
  virtual void step(std::span<float> parameters, std::span<const float> gradient,
                    double learning_rate) = 0;
};

/// "adamw": weight_decay is decoupled, per step, times the learning rate. "adam", "sgd": it is L2,
/// weight_decay p is added to the gradient. momentum is of "sgd" only.
/// size: number of parameters. Throws InvalidArgument if there is no optimiser called `name`.
std::unique_ptr<Optimizer> make_optimizer(const std::string& name, std::size_t size,
                                          double weight_decay, double momentum);

}  // namespace ecseq::nn
