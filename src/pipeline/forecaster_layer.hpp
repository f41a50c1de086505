#pragma once

#include <span>

#include "ecseq/autograd/tape.hpp"
#include "ecseq/kernels/dense.hpp"
#include "ecseq/nn/parameters.hpp"

namespace ecseq::pipeline {

/// One GraphSAGE-mean layer on series and a linear head:
///   z = act(W_self x + W_heard m + W_id v_s + b),   y = W_out z + b_out
/// x: the series' own node, m: the mean of the representatives it hears, v_s: a learned vector for
/// its number. Representatives are fixed while the layer trains and no series is attached to a
/// series, so it is a dense layer over [x, m, v_s] (gnn/input_layout.hpp). The control hears
/// nothing.
class SeriesLayer {
 public:
  struct Shape {
    Index own = 0;    ///< columns of x
    Index heard = 0;  ///< columns of m; 0 in the control
    Index n_series = 0;
    Index series_id_size = 0;
    Index hidden = 0;
    Index outputs = 0;
    bool relu = true;       ///< else no activation
    bool from_zero = true;  ///< the head starts at 0, so that the first forecast is the base's
  };

  SeriesLayer() = default;
  /// parameters: none yet, perhaps of a file (nn::Parameters::of_file).
  SeriesLayer(const Shape& shape, std::uint64_t seed, nn::Parameters<float> parameters = {});

  const Shape& shape() const { return shape_; }
  /// Columns [x, m] that a caller fills.
  Index given() const { return shape_.own + shape_.heard; }
  nn::Parameters<float>& parameters() { return parameters_; }
  const nn::Parameters<float>& parameters() const { return parameters_; }
  void pack();

  /// x: [n, given], series: [n], read again by the backward pass -> [n, outputs]
  autograd::Variable<float> forward(const nn::BoundParameters<float>& bound,
                                    autograd::Variable<float> x, std::span<const Index> series,
                                    double dropout, Rng& rng) const;
  /// x: [rows, given]; out: [rows, outputs]. A row does not depend, to the last bit, on others.
  void predict(const float* x, const Index* series, Index rows, float* out) const;

 private:
  Index width() const { return given() + shape_.series_id_size; }

  Shape shape_;
  nn::Parameters<float> parameters_;
  int series_ = -1, hidden_weight_ = -1, hidden_bias_ = -1, output_weight_ = -1, output_bias_ = -1;
  kernels::PackedDense hidden_;
  kernels::PackedDense output_;
};

}  // namespace ecseq::pipeline
