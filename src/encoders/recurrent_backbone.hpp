#pragma once

#include <string>
#include <vector>

#include "backbone.hpp"

namespace ecseq::encoders {

/// One to four layers of LSTM or GRU cells, in one direction or both.
template <class Cell>
class RecurrentBackbone final : public Backbone {
 public:
  RecurrentBackbone(const EncoderOptions& options, Index inputs, nn::Parameters<float>& parameters,
                    Rng& rng);

  bool needs_table() const override { return false; }
  bool holds_states() const override { return n_layers_ > 1; }
  autograd::Variable<float> states(const nn::BoundParameters<float>& parameters,
                                   const nn::RecurrentBatch& batch,
                                   const nn::LayerInput<float>& input, nn::StatesOf states_of,
                                   Rng* rng) const override;
  void pack(const nn::Parameters<float>& parameters) override;
  void run(std::span<const kernels::EventRun> runs, const kernels::LayerSource<float>& source,
           nn::StatesOf states_of, float* out, Index out_stride, Arena& memory) const override;
  /// Of one direction: of every layer the hidden state, then of an LSTM the cell state, [H] each.
  std::optional<Index> state_size() const override;
  void advance(const float* event, float* state, float* out, Arena& memory) const override;

 private:
  /// The numbers of one cell's parameters.
  struct CellNumbers {
    int weight_input, weight_hidden, bias;
  };

  Index hidden_;
  int n_layers_;
  int directions_;
  double dropout_;
  std::vector<CellNumbers> cells_;      ///< layer by layer, forward before backward
  std::vector<Eigen::ArrayXf> packed_;  ///< of each cell
  std::vector<kernels::RecurrentWeights<float, Cell::kGates>> weights_;  ///< refer to `packed_`
};

}  // namespace ecseq::encoders
