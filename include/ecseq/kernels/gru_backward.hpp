#pragma once

#include "ecseq/core/matrix.hpp"
#include "ecseq/kernels/vec.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

/// What the backward pass of an attentional GRU reads and writes beside a plain one's.
template <class Scalar>
struct AttentionGradient {
  const Scalar* scores = nullptr;  ///< that of sequence n at scores[n stride]
  Index stride = 0;
  Scalar* sums = nullptr;  ///< [n, lanes] the lanes of row n are added up to the score's gradient
};

/// From the gradient of h_t to that of the gates before activation, in place of what the forward
/// pass kept, and to the part of h_(t-1)'s that does not pass through the gates, in place of h_t's.
/// gates: [n, 4 padded], h_before: [n, h_stride], dh: [n, padded],
/// dbias: [4 padded] in the order of `gates`
template <bool Attentional, class Scalar>
void gru_gate_gradients(Index count, Index padded, Scalar* gates, const Scalar* h_before,
                        Index h_stride, Scalar* dh, Scalar* dbias,
                        const AttentionGradient<Scalar>& attention = {}) {
  using V = Vec<Scalar>;
  const V one = broadcast(Scalar(1));
  for (Index unit = 0; unit < padded; unit += kLanes<Scalar>) {
    V sum[4];
    for (int gate = 0; gate < 4; ++gate) sum[gate] = load(dbias + gate * padded + unit);
    for (Index n = 0; n < count; ++n) {
      Scalar* gate = gates + n * 4 * padded + unit;
      const V g = load(gate), r = load(gate + padded), z = load(gate + 2 * padded);
      const V u = load(gate + 3 * padded), dh_n = load(dh + n * padded + unit);
      // h = (1 - keep) g + keep h_before with g = tanh(x part + r u), through sigmoid' = s (1 - s)
      // and tanh' = 1 - t^2
      V keep = z, dz = dh_n * (load(h_before + n * h_stride + unit) - g);
      if constexpr (Attentional) {
        // keep = a z + (1 - a):  da = dkeep (z - 1), dz = dkeep a
        const V a = broadcast(attention.scores[n * attention.stride]);
        Scalar* to = attention.sums + n * kLanes<Scalar>;
        store(to, fma(dz, z - one, load(to)));
        keep = fma(a, z, one - a);
        dz *= a;
      }
      const V dg = dh_n * (one - keep) * (one - g * g);
      const V dr = dg * u * r * (one - r);
      const V du = dg * r;
      dz = dz * z * (one - z);
      store(gate, dg);
      store(gate + padded, dr);
      store(gate + 2 * padded, dz);
      store(gate + 3 * padded, du);
      store(dh + n * padded + unit, dh_n * keep);
      sum[0] += dg;
      sum[1] += dr;
      sum[2] += dz;
      sum[3] += du;
    }
    for (int gate = 0; gate < 4; ++gate) store(dbias + gate * padded + unit, sum[gate]);
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
