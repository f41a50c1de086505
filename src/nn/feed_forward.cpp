#include "ecseq/nn/feed_forward.hpp"

#include <algorithm>

namespace ecseq::nn {

FeedForward::Packed FeedForward::pack() const {
  Packed packed;
  if (hidden_ > 0) packed.hidden = {parameters_.view(0), parameters_.data(1)};
  const int last = hidden_ > 0 ? 2 : 0;
  packed.output = {parameters_.view(last), parameters_.data(last + 1)};
  return packed;
}

void FeedForward::hidden_layer(const Packed& packed, const float* x, Index rows, float* z,
                               std::vector<float>& scratch) const {
  const Index padded = packed.hidden.padded();
  scratch.resize(static_cast<std::size_t>(rows * padded));
  kernels::multiply(packed.hidden, x, in_, rows, scratch.data());
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < hidden_; ++j) {
      z[i * hidden_ + j] = std::max(0.0f, scratch[static_cast<std::size_t>(i * padded + j)]);
    }
  }
}

void FeedForward::predict(const Packed& packed, const float* x, Index rows, float* y) const {
  std::vector<float> scratch, z;
  const float* last = x;
  if (hidden_ > 0) {
    z.resize(static_cast<std::size_t>(rows * hidden_));
    hidden_layer(packed, x, rows, z.data(), scratch);
    last = z.data();
  }
  const Index padded = packed.output.padded();
  scratch.resize(static_cast<std::size_t>(rows * padded));
  kernels::multiply(packed.output, last, packed.output.in(), rows, scratch.data());
  for (Index i = 0; i < rows; ++i) {
    std::copy_n(scratch.data() + i * padded, out_, y + i * out_);
  }
}

}  // namespace ecseq::nn
