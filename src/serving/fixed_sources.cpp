#include "fixed_sources.hpp"

#include "ecseq/kernels/packed_matrix.hpp"

namespace ecseq::serving {

FixedSources::FixedSources(MatrixView<float> sources, const Matrix<float>& weight)
    : sent_(Matrix<float>::Zero(sources.rows, kernels::round_up<float>(weight.cols()))) {
  sent_.leftCols(weight.cols()) =
      (sources.eigen().cast<double>() * weight.cast<double>()).cast<float>();
}

void FixedSources::add(const relation::Neighbours& heard, float* sum) const {
  for (Index e = 0; e < heard.size; ++e) {
    const auto weight = kernels::broadcast(heard.weight[e]);
    const float* const x = sent(heard.representative[e]);
    for (Index j = 0; j < sent_.cols(); j += kernels::kLanes<float>) {
      kernels::store(sum + j, kernels::fma(weight, kernels::load(x + j), kernels::load(sum + j)));
    }
  }
}

}  // namespace ecseq::serving
