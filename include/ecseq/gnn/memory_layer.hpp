#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/gnn/heads.hpp"
#include "ecseq/nn/gru.hpp"
#include "ecseq/nn/parameters.hpp"

namespace ecseq::gnn {

/// How the remembered labels of an entity become one vector.
enum class MemoryAggregation { kGru, kGnn };

/// A learned aggregation of what is remembered of an entity: the last labels that are known by
/// then, one row each (relation::EntityMemory::recent), ragged.
///   kGru: the state of a GRU after the newest row (Cho et al. 2014);
///   kGnn: a graph layer from the remembered events to their entity,
///         v = ReLU(ReLU(x W_1 + b_1) W_2 + b_2), z = [mean of v, sum of alpha v],
///         alpha = softmax over the entity's rows of v . a.
/// Nothing remembered gives zeros.
template <class Scalar>
class MemoryLayer {
 public:
  /// in: columns of a row; out: columns of the result, even for kGnn.
  MemoryLayer(nn::Parameters<Scalar>& parameters, const std::string& name,
              MemoryAggregation aggregation, Index in, Index out, Rng& rng)
      : aggregation_(aggregation), out_(out) {
    if (aggregation == MemoryAggregation::kGru) {
      const double bound = 1.0 / std::sqrt(static_cast<double>(out));
      first_ = parameters.add_uniform(name + ".weight_input", in, 3 * out, bound, rng);
      second_ = parameters.add_uniform(name + ".weight_hidden", out, 3 * out, bound, rng);
      first_bias_ = parameters.add(name + ".bias", 1, 4 * out);
      return;
    }
    if (out % 2 != 0) {
      throw InvalidArgument(
          "out: a mean and an attended sum share it, expected an even number, got " +
          std::to_string(out));
    }
    const Index half = out / 2;
    const auto bound = [](Index from, Index to) {
      return std::sqrt(6.0 / static_cast<double>(from + to));
    };
    first_ = parameters.add_uniform(name + ".first.weight", in, half, bound(in, half), rng);
    first_bias_ = parameters.add(name + ".first.bias", 1, half);
    second_ = parameters.add_uniform(name + ".second.weight", half, half, bound(half, half), rng);
    second_bias_ = parameters.add(name + ".second.bias", 1, half);
    attention_ = parameters.add_uniform(name + ".attention", 1, half, bound(half, 1), rng);
  }

  Index out() const { return out_; }

  /// rows: [total, in], an entity's from old to new; offsets: [n + 1], where they begin, must
  /// outlive the tape's step. -> [n, out]
  autograd::Variable<Scalar> forward(const nn::BoundParameters<Scalar>& bound,
                                     autograd::Variable<Scalar> rows,
                                     std::span<const Index> offsets) const {
    return aggregation_ == MemoryAggregation::kGru ? recurrent(bound, rows, offsets)
                                                   : pooled(bound, rows, offsets);
  }

 private:
  autograd::Variable<Scalar> pooled(const nn::BoundParameters<Scalar>& bound,
                                    autograd::Variable<Scalar> rows,
                                    std::span<const Index> offsets) const {
    const auto first = autograd::relu(autograd::linear(rows, bound[first_], bound[first_bias_]));
    const auto v = autograd::relu(autograd::linear(first, bound[second_], bound[second_bias_]));
    const auto alpha = autograd::segment_softmax(score_heads(v, bound[attention_]), offsets);
    const autograd::Variable<Scalar> parts[] = {autograd::segment_mean(v, offsets),
                                                sum_heads(v, alpha, offsets)};
    return autograd::concat_columns(std::span<const autograd::Variable<Scalar>>(parts));
  }

  // The recurrent layer knows no empty sequence: the others run, and take their places afterwards.
  autograd::Variable<Scalar> recurrent(const nn::BoundParameters<Scalar>& bound,
                                       autograd::Variable<Scalar> rows,
                                       std::span<const Index> offsets) const {
    auto& tape = bound.tape();
    const auto n = static_cast<Index>(offsets.size()) - 1;
    auto* const runs = tape.template scratch_of<kernels::EventRun>(n);
    auto* const places = tape.template scratch_of<Index>(n);
    std::size_t count = 0;
    for (Index i = 0; i < n; ++i) {
      const Index first = offsets[static_cast<std::size_t>(i)];
      const Index length = offsets[static_cast<std::size_t>(i) + 1] - first;
      if (length == 0) continue;
      runs[count] = {nullptr, length, static_cast<Index>(count), first};
      places[count++] = i;
    }
    std::sort(runs, runs + count, [](const kernels::EventRun& a, const kernels::EventRun& b) {
      return a.length != b.length ? a.length > b.length : a.result < b.result;
    });
    const nn::RecurrentBatch batch{{runs, count}, rows.rows(), rows.cols()};
    const auto states = nn::recurrent_layer<Scalar, kernels::GruCell>(
        batch, {{}, &rows, nullptr}, nn::TimeOrder::kForward, nn::StatesOf::kLastStep,
        {bound[first_], bound[second_], bound[first_bias_]});
    return autograd::scatter_add_rows(states, std::span<const Index>(places, count), n);
  }

  MemoryAggregation aggregation_;
  Index out_;
  int first_, first_bias_, second_, second_bias_ = -1, attention_ = -1;
};

}  // namespace ecseq::gnn
