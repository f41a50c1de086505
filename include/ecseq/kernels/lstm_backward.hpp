#pragma once

#include "ecseq/core/matrix.hpp"
#include "ecseq/kernels/vec.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// From the gradient of h_t and c_t to that of the gates before activation, in place of the
/// activated gates, and to that of c_(t-1), in place of c_t's.
/// gates: [n, 4 padded], cell_tanh, cell_before, dh, dc: [n, padded], dbias: [4 padded]
template <class Scalar>
void lstm_gate_gradients(Index count, Index padded, Scalar* gates, const Scalar* cell_tanh,
                         const Scalar* cell_before, const Scalar* dh, Scalar* dc, Scalar* dbias) {
  using V = Vec<Scalar>;
  const V one = broadcast(Scalar(1));
  for (Index unit = 0; unit < padded; unit += kLanes<Scalar>) {
    V sum[4];
    for (int gate = 0; gate < 4; ++gate) sum[gate] = load(dbias + gate * padded + unit);
    for (Index n = 0; n < count; ++n) {
      Scalar* gate = gates + n * 4 * padded + unit;
      const Index at = n * padded + unit;
      const V i = load(gate), f = load(gate + padded), g = load(gate + 2 * padded);
      const V o = load(gate + 3 * padded), t = load(cell_tanh + at), dh_n = load(dh + at);
      // h = o tanh(c):  dc += dh o (1 - tanh(c)^2)
      const V dc_n = load(dc + at) + dh_n * o * (one - t * t);
      // c = f c_before + i g, through sigmoid' = s (1 - s) and tanh' = 1 - t^2
      const V di = dc_n * g * i * (one - i);
      const V df = dc_n * load(cell_before + at) * f * (one - f);
      const V dg = dc_n * i * (one - g * g);
      const V d_o = dh_n * t * o * (one - o);
      store(gate, di);
      store(gate + padded, df);
      store(gate + 2 * padded, dg);
      store(gate + 3 * padded, d_o);
      store(dc + at, dc_n * f);
      sum[0] += di;
      sum[1] += df;
      sum[2] += dg;
      sum[3] += d_o;
    }
    for (int gate = 0; gate < 4; ++gate) store(dbias + gate * padded + unit, sum[gate]);
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
