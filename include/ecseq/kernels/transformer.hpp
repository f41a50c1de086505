#pragma once

#include <algorithm>

#include "ecseq/kernels/attention.hpp"
#include "ecseq/kernels/gelu.hpp"
#include "ecseq/kernels/layer_norm.hpp"
#include "ecseq/kernels/packed_matrix.hpp"

namespace ecseq::kernels::inline ECSEQ_LEVEL {

enum class Activation { kRelu, kGelu };

/// What a Transformer layer does beside its weights (Vaswani et al. 2017; `norm_first`: Xiong et
/// al. 2020).
struct TransformerShape {
  Index heads = 1;          ///< divides the layer's width
  bool norm_first = false;  ///< normalise before attention and feed-forward net, not after
  bool causal = false;      ///< an event attends to itself and earlier ones only
  Activation activation = Activation::kRelu;
  float epsilon = 1e-5f;  ///< added to the variances
};

/// One layer's matrices, each as in x W + b: weights [in, out], row-major; biases and gains [out].
struct TransformerLayerMatrices {
  MatrixView<float> in_projection;  ///< [H, 3H]: queries, keys and values side by side
  const float* in_projection_bias = nullptr;
  MatrixView<float> out_projection;  ///< [H, H]
  const float* out_projection_bias = nullptr;
  MatrixView<float> feed_forward_in;  ///< [H, F]
  const float* feed_forward_in_bias = nullptr;
  MatrixView<float> feed_forward_out;  ///< [F, H]
  const float* feed_forward_out_bias = nullptr;
  const float* norm_attention_gain = nullptr;
  const float* norm_attention_bias = nullptr;
  const float* norm_feed_forward_gain = nullptr;
  const float* norm_feed_forward_bias = nullptr;
};

/// One layer's weights in the order the kernel reads them; owns its memory.
class TransformerLayerWeights {
 public:
  struct Norm {
    Norm() = default;
    Norm(const float* gain_, const float* bias_, Index width)
        : gain(Eigen::Map<const Eigen::ArrayXf>(gain_, width)),
          bias(Eigen::Map<const Eigen::ArrayXf>(bias_, width)) {}
    Eigen::ArrayXf gain, bias;
  };

  TransformerLayerWeights() = default;
  TransformerLayerWeights(const TransformerLayerMatrices& m, Index heads)
      : in_projection(m.in_projection, m.in_projection_bias,
                      2 * m.out_projection.cols + heads_end(m.out_projection.cols, heads)),
        out_projection(m.out_projection, m.out_projection_bias),
        feed_forward_in(m.feed_forward_in, m.feed_forward_in_bias),
        feed_forward_out(m.feed_forward_out, m.feed_forward_out_bias),
        norm_attention(m.norm_attention_gain, m.norm_attention_bias, width()),
        norm_feed_forward(m.norm_feed_forward_gain, m.norm_feed_forward_bias, width()),
        context_stride_(heads_end(width(), heads)) {}

  Index width() const { return out_projection.out(); }
  /// Columns of the rows that a layer reads and writes: the width in whole vectors.
  Index stride() const { return out_projection.padded(); }
  /// Columns of a row of queries, keys and values.
  Index projected_stride() const { return in_projection.padded(); }
  /// Columns of a row of all heads' results.
  Index context_stride() const { return context_stride_; }

  PackedMatrix in_projection, out_projection, feed_forward_in, feed_forward_out;
  Norm norm_attention, norm_feed_forward;

 private:
  /// Columns that `heads` side by side take where the last one is read in whole vectors.
  static Index heads_end(Index width, Index heads) {
    const Index size = width / heads;
    return round_up<float>((heads - 1) * size + round_up<float>(size));
  }
  Index context_stride_ = 0;
};

namespace detail {

/// Rows, and hidden units of the feed-forward net, that stay in the first-level cache together.
inline constexpr Index kTransformerRows = 48, kFeedForwardUnits = 128;

/// y += z W + b.  z: [rows, z_stride], y: [rows, w.padded()]
inline void add_projection(const PackedMatrix& w, const float* z, Index z_stride, Index rows,
                           float* y) {
  const Index stride = w.padded();
  const auto at = [&](Index row, Index panel) { return y + row * stride + panel * kLanes<float>; };
  product<float>(
      {z, z_stride}, w.right(), w.in(), {0, rows, 0, w.panels()},
      [&](Index row, Index panel)
          ECSEQ_LAMBDA_INLINE { return load(at(row, panel)) + w.bias(panel); },
      [&](Index row, Index panel, Vec<float> sum)
          ECSEQ_LAMBDA_INLINE { store(at(row, panel), sum); });
}

/// y += activation(z W1 + b1) W2 + b2, some hidden units at a time.  z, y: [rows, stride], apart;
/// hidden: [rows, kFeedForwardUnits]
template <class Activate>
void add_feed_forward(const TransformerLayerWeights& weights, const Activate& activate,
                      const float* z, Index rows, float* y, float* hidden) {
  constexpr Index kWidth = kLanes<float>;
  const PackedMatrix &in = weights.feed_forward_in, &out = weights.feed_forward_out;
  const Index stride = weights.stride();
  const auto at = [&](Index row, Index panel) { return y + row * stride + panel * kWidth; };
  for (Index first = 0; first < in.out(); first += kFeedForwardUnits) {
    const Index units = std::min(kFeedForwardUnits, in.out() - first), base = first / kWidth;
    product<float>(
        {z, stride}, in.right(), in.in(), {0, rows, base, round_up<float>(units) / kWidth},
        [&](Index, Index panel) ECSEQ_LAMBDA_INLINE { return in.bias(panel); },
        [&](Index row, Index panel, Vec<float> sum) ECSEQ_LAMBDA_INLINE {
          store(hidden + row * kFeedForwardUnits + (panel - base) * kWidth, activate(sum));
        });
    product<float>(
        {hidden, kFeedForwardUnits}, out.right(first), units, {0, rows, 0, out.panels()},
        [&](Index row, Index panel) ECSEQ_LAMBDA_INLINE {
          const Vec<float> before = load(at(row, panel));
          return first == 0 ? before + out.bias(panel) : before;
        },
        [&](Index row, Index panel, Vec<float> sum)
            ECSEQ_LAMBDA_INLINE { store(at(row, panel), sum); });
  }
}

}  // namespace detail

/// Scalars `transformer_layer` needs as scratch, aligned to kVectorBytes, for `events` rows of
/// which the longest sequence has `longest`.
inline Index transformer_scratch_size(const TransformerLayerWeights& weights,
                                      const TransformerShape& shape, Index events, Index longest) {
  return events * (weights.projected_stride() + weights.context_stride()) +
         std::max({events * weights.stride(),
                   detail::kTransformerRows * (weights.stride() + detail::kFeedForwardUnits),
                   attention_scratch_size(longest, weights.width() / shape.heads)});
}

/// One layer over ragged sequences, in place: attention, then the feed-forward net, each added to
/// its input and normalised (torch.nn.TransformerEncoderLayer in evaluation). For all layers of a
/// stack to find the rows in the cache, give it a sequence, or some short ones, of all layers in
/// turn; what an event gets does not depend, to the last bit, on the other sequences.
/// x: [events, weights.stride()], whose padding may hold anything; offsets: [sequences + 1]
inline void transformer_layer(const TransformerLayerWeights& weights, const TransformerShape& shape,
                              const Index* offsets, Index sequences, float* x, float* scratch) {
  const Index width = weights.width(), stride = weights.stride(), size = width / shape.heads;
  const Index events = offsets[sequences] - offsets[0];
  const Index projected_stride = weights.projected_stride();
  const Index context_stride = weights.context_stride();
  float* const projected = scratch;
  float* const context = projected + events * projected_stride;
  float* const rest = context + events * context_stride;
  const auto norm = [&](const TransformerLayerWeights::Norm& n, const float* from, Index rows,
                        float* to) {
    layer_norm(from, rows, width, stride, n.gain.data(), n.bias.data(), shape.epsilon, to);
  };

  const float* input = x;
  if (shape.norm_first) {
    norm(weights.norm_attention, x, events, rest);
    input = rest;
  }
  project(weights.in_projection, input, stride, events, projected, projected_stride);
  for (Index s = 0; s < sequences; ++s) {
    const Index first = offsets[s] - offsets[0], length = offsets[s + 1] - offsets[s];
    for (Index h = 0; h < shape.heads; ++h) {
      const float* q = projected + first * projected_stride + h * size;
      attend({q, q + width, q + 2 * width, projected_stride, length, size, shape.causal},
             context + first * context_stride + h * size, context_stride, rest);
    }
  }

  float* const normed = rest;  // [kTransformerRows, stride]
  float* const hidden = rest + detail::kTransformerRows * stride;
  const Index blocks = (events + detail::kTransformerRows - 1) / detail::kTransformerRows;
  for (Index block = 0; block < blocks; ++block) {
    const Index first = block * events / blocks, rows = (block + 1) * events / blocks - first;
    float* const y = x + first * stride;
    detail::add_projection(weights.out_projection, context + first * context_stride, context_stride,
                           rows, y);
    if (shape.norm_first) {
      norm(weights.norm_feed_forward, y, rows, normed);
    } else {
      norm(weights.norm_attention, y, rows, y);
      std::copy_n(y, rows * stride, normed);
    }
    if (shape.activation == Activation::kRelu) {
      detail::add_feed_forward(
          weights, [](Vec<float> v) ECSEQ_LAMBDA_INLINE { return max(Vec<float>{}, v); }, normed,
          rows, y, hidden);
    } else {
      detail::add_feed_forward(
          weights, [](Vec<float> v) ECSEQ_LAMBDA_INLINE { return gelu<float>(v); }, normed, rows, y,
          hidden);
    }
    if (!shape.norm_first) norm(weights.norm_feed_forward, y, rows, y);
  }
}

}  // namespace ecseq::kernels::inline ECSEQ_LEVEL
