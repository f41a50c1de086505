#include "forecaster_encoder.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "ecseq/autograd/operations.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/kernels/flush_denormals.hpp"

namespace ecseq::pipeline {
namespace {

constexpr Index kWindows = 96;  // per task: some tiles of the recurrent kernel
constexpr Index kRows = 64;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

SeriesEncoder::SeriesEncoder(const ForecasterOptions& options, const SeriesScale& scale,
                             std::uint64_t seed, nn::Parameters<float> parameters)
    : window_(options.window),
      horizon_(options.horizon),
      hidden_(options.hidden_size),
      inputs_(scale.inputs()),
      future_((options.horizon - 1) * scale.exogenous.size()),
      outputs_(options.horizon * scale.channels),
      change_(options.change),
      parameters_(std::move(parameters)) {
  encoders::EncoderOptions network;
  network.cell = options.cell;
  network.hidden_size = options.hidden_size;
  Rng rng(seed, 1);
  backbone_ = encoders::make_backbone(network, inputs_, parameters_, rng);
  const Index width = hidden_ + future_;
  head_weight_ = change_
                     ? parameters_.add("head.weight", width, outputs_)
                     : parameters_.add_uniform("head.weight", width, outputs_,
                                               1.0 / std::sqrt(static_cast<double>(width)), rng);
  head_bias_ = parameters_.add("head.bias", 1, outputs_);
}

void SeriesEncoder::pack() {
  backbone_->pack(parameters_);
  head_ = kernels::PackedDense(parameters_.view(head_weight_), parameters_.data(head_bias_));
}

void SeriesEncoder::write_anchor(const Panel& panel, Index series, Index moment, float* out) const {
  if (!change_) {
    std::fill_n(out, outputs_, 0.0F);
    return;
  }
  for (Index h = 0; h < horizon_; ++h) {
    out = std::copy_n(panel.values(series, moment - 1), panel.channels(), out);
  }
}

void SeriesEncoder::write_future(const Panel& panel, Index moment, float* out) const {
  const Index features = panel.scale().exogenous.size();
  for (Index h = 1; h < horizon_ && features > 0; ++h) {
    out = std::copy_n(panel.exogenous(moment + h), features, out);
  }
}

autograd::Variable<float> SeriesEncoder::forward(const nn::BoundParameters<float>& bound,
                                                 const Panel& panel, std::span<const Index> series,
                                                 std::span<const Index> moments) const {
  auto& tape = bound.tape();
  const auto n = static_cast<Index>(series.size());
  float* const events = tape.scratch(n * window_ * inputs_);
  auto* const starts = tape.scratch_of<std::int64_t>(n);
  auto* const stops = tape.scratch_of<std::int64_t>(n);
  auto* const rows = tape.scratch_of<Index>(n);
  const auto anchor = tape.constant(n, outputs_);
  const auto future = tape.constant(n, future_);
  for (Index i = 0; i < n; ++i) {
    const Index s = series[at(i)], t = moments[at(i)];
    for (Index w = 0; w < window_; ++w) {
      panel.write_event(s, t - window_ + w, events + (i * window_ + w) * inputs_);
    }
    starts[i] = i * window_;
    stops[i] = (i + 1) * window_;
    rows[i] = i;
    write_anchor(panel, s, t, anchor.value().row(i).data());
    write_future(panel, t, future.value().row(i).data());
  }
  const SequencesView windows{{events, n * window_, inputs_}, starts, stops, n};
  const auto batch = nn::recurrent_batch(tape, windows, {rows, at(n)});
  auto x = backbone_->states(bound, batch, {}, nn::StatesOf::kLastStep, nullptr);
  if (future_ > 0) x = autograd::concat_columns<float>({x, future});
  return autograd::add(autograd::linear(x, bound[head_weight_], bound[head_bias_]), anchor);
}

Matrix<float> SeriesEncoder::encode(const Panel& panel, std::span<const Index> moments,
                                    int num_threads) const {
  const auto m = static_cast<Index>(moments.size());
  const Index n = panel.series();
  Matrix<float> out(m * n, hidden_);
  // A task reads some series at some moments; neighbouring windows of a series share their events.
  const Index some_moments = std::min(m, kWindows);
  const Index some_series = std::max<Index>(1, kWindows / std::max<Index>(1, some_moments));
  const Index blocks = (m + some_moments - 1) / some_moments;
  const Index groups = (n + some_series - 1) / some_series;
  parallel_for(blocks * groups, num_threads, [&](Index task) {
    const kernels::FlushDenormals flush;
    const Index first_moment = task / groups * some_moments;
    const Index last_moment = std::min(m, first_moment + some_moments);
    const Index first_series = task % groups * some_series;
    const Index last_series = std::min(n, first_series + some_series);
    const Index count = (last_moment - first_moment) * (last_series - first_series);
    Matrix<float> events(count * window_, inputs_);
    std::vector<kernels::EventRun> runs;
    Index rows = 0;
    for (Index s = first_series; s < last_series; ++s) {
      Index read = -1;  // up to here this series' events stand in the last rows
      for (Index i = first_moment; i < last_moment; ++i) {
        const Index t = moments[at(i)];
        for (Index u = std::max(t - window_, read); u < t; ++u) {
          panel.write_event(s, u, events.row(rows++).data());
        }
        read = t;
        runs.push_back({events.row(rows - window_).data(), window_, i * n + s});
      }
    }
    Arena memory;
    backbone_->run(runs, {}, nn::StatesOf::kLastStep, out.data(), hidden_, memory);
  });
  return out;
}

Matrix<float> SeriesEncoder::forecast(const Panel& panel, std::span<const Index> moments,
                                      MatrixView<float> embeddings, int num_threads) const {
  const Index n = panel.series(), width = hidden_ + future_;
  Matrix<float> out(embeddings.rows, outputs_);
  parallel_chunks(embeddings.rows, kRows, num_threads, [&](Index begin, Index end) {
    const kernels::FlushDenormals flush;
    const Index rows = end - begin;
    Matrix<float> x(rows, width), y(rows, head_.padded());
    for (Index i = 0; i < rows; ++i) {
      std::copy_n(embeddings.row(begin + i), hidden_, x.row(i).data());
      write_future(panel, moments[at((begin + i) / n)], x.row(i).data() + hidden_);
    }
    kernels::multiply(head_, x.data(), width, rows, y.data());
    for (Index i = 0; i < rows; ++i) {
      const Index row = begin + i;
      float* const to = out.row(row).data();
      write_anchor(panel, row % n, moments[at(row / n)], to);
      for (Index j = 0; j < outputs_; ++j) to[j] += y(i, j);
    }
  });
  return out;
}

}  // namespace ecseq::pipeline
