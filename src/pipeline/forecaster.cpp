#include "ecseq/pipeline/forecaster.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/core/require.hpp"
#include "ecseq/kernels/flush_denormals.hpp"
#include "forecaster_state.hpp"

namespace ecseq::pipeline {
namespace {

constexpr Index kRows = 64;
constexpr Index kBlockWindows = Index{1} << 14;
/// Standard deviations at which an error is clipped: a broken sensor must not shout.
constexpr float kLargestError = 3.0F;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// `moments` and those before them whose forecasts their errors are of; increasing.
std::vector<Index> with_error_moments(const ForecasterState& state,
                                      std::span<const Index> moments) {
  std::vector<Index> out;
  for (const Index t : moments) {
    const Index last = out.empty() ? -1 : out.back();
    for (Index m = std::max(last + 1, t - state.error_moments()); m <= t; ++m) out.push_back(m);
  }
  return out;
}

void require_moment(const ForecasterState& state, Index moment, Index steps) {
  if (moment >= state.required_rows() && moment <= steps) return;
  throw InvalidArgument("moment " + std::to_string(moment) + ": expected one from " +
                        std::to_string(state.required_rows()) +
                        " (the rows that a forecast looks back on) to " + std::to_string(steps) +
                        " (the rows of Y)");
}

}  // namespace

ForecasterOptions ForecasterOptions::paper() {
  ForecasterOptions out;
  out.hidden_size = 64;
  relation::SeriesOptions relation;
  relation.n_representatives = 100;
  relation.attach = "correlation";
  relation.min_correlation = 0.5;
  relation.lags = 720;
  out.relation = relation;
  out.head_size = 16;
  out.series_id_size = 0;
  out.error_lags = 0;
  out.dropout = 0.0;
  out.scaling = "range";
  out.change = false;
  out.residual = false;
  out.relu = false;
  out.gate = false;
  out.controls = false;
  out.batch_moments = 16;
  for (nn::TrainingOptions* training : {&out.encoder_training, &out.head_training}) {
    training->optimizer = "adam";
    training->learning_rate = 1e-4;
    training->schedule = "constant";
    training->max_epochs = 100;
    training->patience = 10;
    training->clip_norm = 0.0;
  }
  return out;
}

void validate(const ForecasterOptions& options) {
  require_at_least("horizon", options.horizon, 1);
  require_at_least("window", options.window, 1);
  require_one_of("cell", options.cell, {"lstm", "gru"});
  require_at_least("hidden_size", options.hidden_size, 1);
  require_at_least("head_size", options.head_size, 1);
  require_at_least("series_id_size", options.series_id_size, 0);
  require_at_least("error_lags", options.error_lags, 0);
  require_at_least("max_moments", options.max_moments, 0);
  require_at_least("batch_moments", options.batch_moments, 0);
  if (!(options.dropout >= 0.0 && options.dropout < 1.0)) {
    throw InvalidArgument("dropout: expected a number in [0, 1), got " +
                          std::to_string(options.dropout));
  }
  require_one_of("scaling", options.scaling, {"series", "range"});
  require_one_of("loss", options.loss, {"series", "units"});
  if (options.relation) relation::validate(*options.relation);
}

SeriesLayer::Shape ForecasterState::layer_shape(bool hears) const {
  SeriesLayer::Shape shape;
  shape.own = node_size();
  shape.heard = hears ? node_size() : 0;
  shape.n_series = scale.series();
  shape.series_id_size = options.series_id_size;
  shape.hidden = options.head_size;
  shape.outputs = outputs();
  shape.relu = options.relu;
  shape.from_zero = options.residual;
  return shape;
}

SeriesNodes nodes_at(const ForecasterState& state, const Panel& panel,
                     std::span<const Index> moments, int num_threads) {
  const Index n = panel.series(), c = panel.channels(), hidden = state.options.hidden_size;
  const Index horizon = state.options.horizon;
  const std::vector<Index> read = with_error_moments(state, moments);
  const Matrix<float> embeddings = state.encoder.encode(panel, read, num_threads);
  const Matrix<float> base = state.encoder.forecast(panel, read, embeddings, num_threads);
  SeriesNodes out;
  out.nodes.resize(static_cast<Index>(moments.size()) * n, state.node_size());
  out.base.resize(out.nodes.rows(), state.outputs());
  parallel_chunks(static_cast<Index>(moments.size()), 1, num_threads, [&](Index i, Index) {
    const Index t = moments[at(i)];
    const auto found = std::lower_bound(read.begin(), read.end(), t);
    const Index place = found - read.begin();  // moments t - 1, t - 2, ... stand before it
    for (Index s = 0; s < n; ++s) {
      float* to = out.nodes.row(i * n + s).data();
      state.embedding.apply(embeddings.row(place * n + s).data(), to);
      to += hidden;
      out.base.row(i * n + s) = base.row(place * n + s);
      for (Index lag = 1; lag <= state.options.error_lags; ++lag) {
        const float* now = panel.values(s, t - lag);
        for (Index h = 1; h <= horizon; ++h) {
          // Row t - lag as it was forecast h steps ahead, at moment t - lag - h + 1.
          const float* then = base.row((place - lag - h + 1) * n + s).data() + (h - 1) * c;
          for (Index j = 0; j < c; ++j) {
            const float error = std::clamp(now[j] - then[j], -kLargestError, kLargestError);
            *to++ = panel.known(s, t - lag, j) ? error : 0.0F;
          }
        }
      }
    }
  });
  return out;
}

Matrix<float> representatives_at(const ForecasterState& state, const Matrix<float>& nodes,
                                 int num_threads) {
  const auto& relation = *state.relation;
  const Index n = relation.n_series(), k = relation.n_representatives();
  const Index moments = nodes.rows() / n;
  Matrix<float> out(moments * k, nodes.cols());
  parallel_chunks(moments, 1, num_threads, [&](Index i, Index) {
    relation.represent(nodes.row(i * n).data(), nodes.cols(), out.row(i * k).data());
  });
  return out;
}

void write_layer_input(const ForecasterState& state, Index series, const float* node,
                       const float* representatives, float* out) {
  const Index size = state.node_size();
  std::copy_n(node, size, out);
  if (representatives == nullptr) return;
  state.relation->aggregate(series, representatives, size, out + size);
}

void to_units(const Panel& panel, Matrix<float>& forecast) {
  const Index n = panel.series(), c = panel.channels();
  for (Index row = 0; row < forecast.rows(); ++row) {
    const Index first = panel.number(row % n) * c;
    for (Index j = 0; j < forecast.cols(); ++j) {
      forecast(row, j) = panel.scale().unscale(first + j % c, forecast(row, j));
    }
  }
}

Matrix<float> layer_forecast(const ForecasterState& state, const SeriesLayer& layer,
                             const Panel& panel, const SeriesNodes& known,
                             const Matrix<float>& representatives, int num_threads) {
  const Index n = panel.series();
  const Index k = representatives.size() > 0 ? state.relation->n_representatives() : 0;
  Matrix<float> out(known.nodes.rows(), state.outputs());
  parallel_chunks(out.rows(), kRows, num_threads, [&](Index begin, Index end) {
    const kernels::FlushDenormals flush;
    Matrix<float> inputs(end - begin, layer.given());
    std::vector<Index> numbers;
    for (Index row = begin; row < end; ++row) {
      numbers.push_back(panel.number(row % n));
      write_layer_input(state, numbers.back(), known.nodes.row(row).data(),
                        k > 0 ? representatives.row(row / n * k).data() : nullptr,
                        inputs.row(row - begin).data());
    }
    layer.predict(inputs.data(), numbers.data(), end - begin, out.row(begin).data());
    if (!state.options.residual) return;
    for (Index i = begin * out.cols(); i < end * out.cols(); ++i) {
      out.data()[i] += known.base.data()[i];
    }
  });
  to_units(panel, out);
  return out;
}

void for_blocks(const ForecasterState& state, Index moments, const ProgressCallback& progress,
                const std::string& stage, const std::function<void(Index, Index)>& body) {
  const Index size = std::max(kBlockWindows / state.scale.series(), 1 + 2 * state.error_moments());
  for (Index first = 0; first < moments; first += size) {
    report(progress, {stage, first, moments, ""});
    body(first, std::min(size, moments - first));
  }
  report(progress, {stage, moments, moments, ""});
}

Matrix<float> forecast_at(const ForecasterState& state, const Panel& panel,
                          std::span<const Index> moments, ForecastOf of, int num_threads,
                          const ProgressCallback& progress) {
  const Index n = panel.series();
  Matrix<float> out(static_cast<Index>(moments.size()) * n, state.outputs());
  const bool base = of == ForecastOf::kBase || (of == ForecastOf::kEcseq && !state.related);
  for_blocks(state, static_cast<Index>(moments.size()), progress, "forecast",
             [&](Index first, Index count) {
               const auto block = moments.subspan(at(first), at(count));
               Matrix<float> part;
               if (base) {
                 const Matrix<float> e = state.encoder.encode(panel, block, num_threads);
                 part = state.encoder.forecast(panel, block, e, num_threads);
                 to_units(panel, part);
               } else {
                 const SeriesNodes known = nodes_at(state, panel, block, num_threads);
                 const bool hears = of == ForecastOf::kEcseq;
                 part = layer_forecast(
                     state, hears ? *state.layer : *state.control, panel, known,
                     hears ? representatives_at(state, known.nodes, num_threads) : Matrix<float>(),
                     num_threads);
               }
               out.middleRows(first * n, count * n) = part;
             });
  return out;
}

namespace {

void require_forecast(const ForecasterState& state, ForecastOf of) {
  if (of == ForecastOf::kControl && !state.control) {
    throw InvalidArgument("control: none was trained (controls, and a relation to compare with)");
  }
  const bool base = of == ForecastOf::kBase || (of == ForecastOf::kEcseq && !state.related);
  if (base && !state.has_base_head) {
    throw InvalidArgument("base: the encoder was imported without a head, it forecasts nothing");
  }
}

void require_relation(const ForecasterState& state, const char* what) {
  if (state.related) return;
  throw InvalidArgument(std::string(what) +
                        ": the forecasts are the base's alone, no series hears of another");
}

}  // namespace

Forecaster::Forecaster(std::shared_ptr<const ForecasterState> state) : state_(std::move(state)) {}

Matrix<float> Forecaster::predict(const SeriesData& data, ForecastOf of, int num_threads,
                                  const ProgressCallback& progress) const {
  const Index now = data.steps();
  return backtest(data, {&now, 1}, of, num_threads, progress);
}

Matrix<float> Forecaster::backtest(const SeriesData& data, std::span<const Index> moments,
                                   ForecastOf of, int num_threads,
                                   const ProgressCallback& progress) const {
  const ForecasterState& state = *state_;
  require_forecast(state, of);
  std::vector<Index> order(moments.size());
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](Index a, Index b) { return moments[at(a)] < moments[at(b)]; });
  for (const Index t : moments) require_moment(state, t, data.steps());
  const Index last = moments.empty() ? 0 : moments[at(order.back())];
  require_data(data, n_series(), channels(), exogenous_features(), last + state.options.horizon);
  std::vector<Index> sorted;
  for (const Index i : order) {
    if (sorted.empty() || sorted.back() != moments[at(i)]) sorted.push_back(moments[at(i)]);
  }
  const Panel panel(state.scale, data);
  const Matrix<float> found = forecast_at(state, panel, sorted, of, num_threads, progress);
  const Index n = n_series();
  Matrix<float> out(static_cast<Index>(moments.size()) * n, found.cols());
  Index place = -1;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || moments[at(order[i])] != moments[at(order[i - 1])]) ++place;
    out.middleRows(order[i] * n, n) = found.middleRows(place * n, n);
  }
  return out;
}

FrozenRepresentatives Forecaster::freeze(const SeriesData& data, int num_threads) const {
  const ForecasterState& state = *state_;
  require_relation(state, "freeze");
  const Index now = data.steps();
  require_moment(state, now, now);
  // The last window ends a row before the moment and reads the exogenous features of the moment.
  require_data(data, n_series(), channels(), exogenous_features(), now + state.options.horizon);
  const Panel panel(state.scale, data);
  const SeriesNodes known = nodes_at(state, panel, {&now, 1}, num_threads);
  return {now, representatives_at(state, known.nodes, num_threads)};
}

Matrix<float> Forecaster::predict_one(Index series, const SeriesData& data,
                                      const FrozenRepresentatives& frozen) const {
  const ForecasterState& state = *state_;
  require_relation(state, "predict_one");
  if (series < 0 || series >= n_series()) {
    throw InvalidArgument("series: expected a number below " + std::to_string(n_series()) +
                          ", got " + std::to_string(series));
  }
  if (frozen.nodes.rows() != state.relation->n_representatives() ||
      frozen.nodes.cols() != state.node_size() || !frozen.nodes.allFinite()) {
    throw InvalidArgument(
        "representatives: expected " + std::to_string(state.relation->n_representatives()) +
        " nodes of " + std::to_string(state.node_size()) + " finite values, as freeze gives them");
  }
  const Index now = data.steps();
  require_moment(state, now, now);
  require_data(data, 1, channels(), exogenous_features(), now + state.options.horizon);
  const Panel panel(state.scale, data, series);
  const SeriesNodes known = nodes_at(state, panel, {&now, 1}, 1);
  return layer_forecast(state, *state.layer, panel, known, frozen.nodes, 1);
}

std::vector<SeriesExplanation> Forecaster::explain(const SeriesData& data,
                                                   std::span<const Index> series,
                                                   int num_threads) const {
  const ForecasterState& state = *state_;
  require_relation(state, "explain");
  for (const Index s : series) {
    if (s >= 0 && s < n_series()) continue;
    throw InvalidArgument("series: expected a number below " + std::to_string(n_series()) +
                          ", got " + std::to_string(s));
  }
  const Index now = data.steps();
  require_moment(state, now, now);
  require_data(data, n_series(), channels(), exogenous_features(), now + state.options.horizon);
  const Panel panel(state.scale, data);
  const SeriesNodes known = nodes_at(state, panel, {&now, 1}, num_threads);
  const Matrix<float> representatives = representatives_at(state, known.nodes, num_threads);
  const Index size = state.node_size(), outputs = state.outputs(), c = channels();
  const auto errors_of = [&](const float* node) {
    return std::vector<float>(node + state.options.hidden_size, node + size);
  };
  std::vector<SeriesExplanation> out;
  for (const Index s : series) {
    const auto heard = state.relation->neighbourhood(s);
    const auto cases = static_cast<Index>(heard.weight.size());
    // Row 0 is the forecast; row 1 hears of nobody; row 2 + e goes without representative e.
    Matrix<float> inputs(2 + cases, state.layer->given());
    const float* const node = known.nodes.row(s).data();
    for (Index i = 0; i < inputs.rows(); ++i) {
      write_layer_input(state, s, node, representatives.data(), inputs.row(i).data());
      float* const mean = inputs.row(i).data() + size;
      if (i == 1) std::fill_n(mean, size, 0.0F);
      if (i < 2) continue;
      const float* const gone = representatives.row(heard.representative[at(i - 2)]).data();
      for (Index j = 0; j < size; ++j) mean[j] -= heard.weight[at(i - 2)] * gone[j];
    }
    Matrix<float> forecasts(inputs.rows(), outputs);
    const std::vector<Index> numbers(at(inputs.rows()), s);
    state.layer->predict(inputs.data(), numbers.data(), inputs.rows(), forecasts.data());
    std::vector<float> base(known.base.row(s).data(), known.base.row(s).data() + outputs);
    for (Index i = 0; i < forecasts.size(); ++i) {
      const Index j = i % outputs;
      const float start = state.options.residual ? base[at(j)] : 0.0F;
      forecasts.data()[i] = state.scale.unscale(s * c + j % c, forecasts.data()[i] + start);
    }
    for (Index j = 0; j < outputs; ++j)
      base[at(j)] = state.scale.unscale(s * c + j % c, base[at(j)]);
    const auto row = [&](Index i) {
      return std::vector<float>(forecasts.row(i).data(), forecasts.row(i).data() + outputs);
    };
    SeriesExplanation one{s, row(0), std::move(base), row(1), errors_of(node), {}};
    for (Index e = 0; e < cases; ++e) {
      const Index k = heard.representative[at(e)];
      SeriesCase found{k,
                       heard.weight[at(e)],
                       heard.correlation[at(e)],
                       state.relation->members(k),
                       errors_of(representatives.row(k).data()),
                       row(2 + e)};
      for (Index j = 0; j < outputs; ++j) {
        found.contribution[at(j)] = one.forecast[at(j)] - found.contribution[at(j)];
      }
      one.cases.push_back(std::move(found));
    }
    out.push_back(std::move(one));
  }
  return out;
}

const ForecasterOptions& Forecaster::options() const { return state_->options; }
Index Forecaster::n_series() const { return state_->scale.series(); }
Index Forecaster::channels() const { return state_->scale.channels; }
Index Forecaster::exogenous_features() const { return state_->scale.exogenous.size(); }
Index Forecaster::required_rows() const { return state_->required_rows(); }
bool Forecaster::has_base_head() const { return state_->has_base_head; }
bool Forecaster::has_control() const { return state_->control.has_value(); }
const relation::SeriesRelation* Forecaster::relation() const {
  return state_->relation ? &*state_->relation : nullptr;
}
const std::string& Forecaster::report() const { return state_->report; }

}  // namespace ecseq::pipeline
