#pragma once

#include <string>

#include "ecseq/core/arena.hpp"
#include "ecseq/encoders/encoder_options.hpp"
#include "ecseq/kernels/dense.hpp"
#include "ecseq/nn/recurrent_layer.hpp"

namespace ecseq::encoders {

/// How the states after each event of a sequence become its embedding: the last one, their mean or
/// elementwise maximum, or by attention,
///   sum_t a_t h_t,  a = softmax over t of q' tanh(h_t W + b)
/// (Bahdanau et al. 2015, with one learned query).
class StatePooling {
 public:
  StatePooling() = default;
  /// Adds the parameters of attention, if it is that.
  StatePooling(const EncoderOptions& options, nn::Parameters<float>& parameters, Rng& rng);

  /// Whether only the last step counts, so that the other states need not be kept.
  bool is_last() const { return kind_ == "last"; }

  /// Training; not for "last". states: [events of the batch, width]; result: [sequences, width]
  autograd::Variable<float> pool(const nn::BoundParameters<float>& parameters,
                                 const nn::RecurrentBatch& batch,
                                 autograd::Variable<float> states) const;

  /// Takes the weights in the order of the kernels; to be repeated after they change.
  void pack(const nn::Parameters<float>& parameters);
  /// Inference; not for "last". states: [length, width]; out: [width]
  void pool(const float* states, Index length, float* out, Arena& memory) const;

  /// The same state by state. Numbers that hold what was read so far; 0 for "last".
  Index state_size() const;
  /// h: [width], the state after the `count`-th event, counted from 1; state: [state_size], of any
  /// content before the first; out: [width], may be h
  void advance(const float* h, Index count, float* state, float* out, Arena& memory) const;

 private:
  void attend(const float* states, Index length, float* out, Arena& memory) const;
  /// q' tanh(h_t W + b).  states: [length, width]; out: [length]
  void scores(const float* states, Index length, float* out, Arena& memory) const;

  std::string kind_ = "last";
  Index width_ = 0;
  int weight_ = -1, bias_ = -1, query_ = -1;  ///< numbers of the parameters
  kernels::PackedDense packed_;               ///< W, b
  Eigen::ArrayXf packed_query_;               ///< [width, padded with zeros]
};

}  // namespace ecseq::encoders
