#pragma once

#include <string>

#include "dense_chain.hpp"
#include "ecseq/gnn/memory_layer.hpp"
#include "ecseq/kernels/gru_cell.hpp"
#include "ecseq/nn/scaler.hpp"

namespace ecseq::serving {

/// gnn::MemoryLayer for one target.
class MemoryLayer {
 public:
  MemoryLayer(gnn::MemoryAggregation aggregation, const nn::Parameters<float>& parameters,
              const std::string& name, const nn::Scaler& scaler);

  /// rows: [count, in], as remembered, newest last; out: [GraphNetwork::kMemorySize], zeros of
  /// nothing remembered
  void apply(const float* rows, Index count, float* out, Arena& memory) const;

 private:
  void pooled(const float* rows, Index count, float* out, Arena& memory) const;

  gnn::MemoryAggregation aggregation_;
  nn::Scaler scaler_;
  Index out_ = 0;
  Eigen::ArrayXf packed_;          ///< of the GRU
  Index inputs_ = 0, hidden_ = 0;  ///< of the GRU
  kernels::PackedMatrix first_, second_;
  Eigen::ArrayXf attention_;
};

}  // namespace ecseq::serving
