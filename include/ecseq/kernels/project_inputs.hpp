#pragma once

#include "ecseq/kernels/recurrent_step.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

namespace detail {

template <class Scalar, int Gates, int Events>
ECSEQ_INLINE void project_tile(const RecurrentWeights<Scalar, Gates>& weights, Index block,
                               const Scalar* inputs, Index stride, Scalar* projected) {
  constexpr Index kWidth = kLanes<Scalar>;
  constexpr int kBiases = RecurrentWeights<Scalar, Gates>::kBiases;
  using V = Vec<Scalar>;
  const Scalar* const bias = weights.bias + block * kBiases * kWidth;
  const Scalar* w = weights.panels + block * weights.panel_size();
  V sum[Gates][Events];
#pragma GCC unroll 4
  for (int gate = 0; gate < Gates; ++gate) {
#pragma GCC unroll 8
    for (int n = 0; n < Events; ++n) sum[gate][n] = load(bias + gate * kWidth);
  }
  for (Index k = 0; k < weights.inputs; ++k, w += Gates * kWidth) {
    V x[Events];
#pragma GCC unroll 8
    for (int n = 0; n < Events; ++n) x[n] = broadcast(inputs[n * stride + k]);
#pragma GCC unroll 4
    for (int gate = 0; gate < Gates; ++gate) {
      const V weight = load(w + gate * kWidth);
#pragma GCC unroll 8
      for (int n = 0; n < Events; ++n) sum[gate][n] = fma(weight, x[n], sum[gate][n]);
    }
  }
#pragma GCC unroll 8
  for (int n = 0; n < Events; ++n) {
    Scalar* const to = projected + n * weights.projected_size() + block * kBiases * kWidth;
#pragma GCC unroll 4
    for (int gate = 0; gate < Gates; ++gate) store(to + gate * kWidth, sum[gate][n]);
    // Of a GRU's new gate the hidden product has a bias of its own.
    for (int gate = Gates; gate < kBiases; ++gate) {
      store(to + gate * kWidth, load(bias + gate * kWidth));
    }
  }
}

}  // namespace detail

/// b + W_x x of `count` events, each element in the order of operations of a cell's step.
/// inputs: [count, stride], of which `weights.inputs` columns count;
/// projected: [count, projected_size], in the order of `weights.bias`.
template <class Scalar, int Gates>
void project_inputs(const RecurrentWeights<Scalar, Gates>& weights, const Scalar* inputs,
                    Index stride, Index count, Scalar* projected) {
  for (Index block = 0; block < weights.blocks(); ++block) {
    Index n = 0;
    const auto run = [&]<int Events>() {
      for (; n + Events <= count; n += Events) {
        detail::project_tile<Scalar, Gates, Events>(weights, block, inputs + n * stride, stride,
                                                    projected + n * weights.projected_size());
      }
    };
    run.template operator()<detail::kStepSequences>();
    if constexpr (detail::kStepSequences > 4) run.template operator()<4>();
    run.template operator()<2>();
    run.template operator()<1>();
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
