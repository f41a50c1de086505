#include "ecseq/nn/optimizer.hpp"

#include "ecseq/core/require.hpp"
#include "ecseq/nn/adam.hpp"
#include "ecseq/nn/sgd.hpp"

namespace ecseq::nn {

std::unique_ptr<Optimizer> make_optimizer(const std::string& name, std::size_t size,
                                          double weight_decay, double momentum) {
  require_one_of("optimizer", name, {"adam", "adamw", "sgd"});
  if (name == "sgd") return std::make_unique<Sgd>(size, momentum, weight_decay);
  return std::make_unique<Adam>(size, weight_decay,
                                name == "adamw" ? WeightDecay::kDecoupled : WeightDecay::kL2);
}

}  // namespace ecseq::nn
