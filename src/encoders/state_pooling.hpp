#pragma once

#include <string>

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
  void pool(const float* states, Index length, float* out) const;

 private:
  void attend(const float* states, Index length, float* out) const;

  std::string kind_ = "last";
  Index width_ = 0;
  int weight_ = -1, bias_ = -1, query_ = -1;  ///< numbers of the parameters
  kernels::PackedDense packed_;               ///< W, b
  Eigen::ArrayXf packed_query_;               ///< [width, padded with zeros]
};

}  // namespace ecseq::encoders
