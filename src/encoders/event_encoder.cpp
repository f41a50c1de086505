#include "ecseq/encoders/event_encoder.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numbers>

#include "ecseq/autograd/operations.hpp"

namespace ecseq::encoders {
namespace {

constexpr Index kTimeColumns = 5;
constexpr double kDay = 86400.0;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// Which rows of the table some sequence covers. [events]
std::vector<bool> covered_events(const SequencesView& sequences) {
  std::vector<Index> opened(at(sequences.values.rows + 1), 0);
  for (Index i = 0; i < sequences.size; ++i) {
    ++opened[at(sequences.starts[i])];
    --opened[at(sequences.stops[i])];
  }
  std::vector<bool> covered(at(sequences.values.rows));
  Index open = 0;
  for (std::size_t i = 0; i < covered.size(); ++i) covered[i] = (open += opened[i]) > 0;
  return covered;
}

/// 1 / standard deviation; 1 for a spread that float cannot tell from the mean's rounding.
float scale_of(double mean, double variance) {
  const double std = std::sqrt(variance);
  return std <= std::max(1e-30, 1e-6 * std::abs(mean)) ? 1.0F : static_cast<float>(1.0 / std);
}

std::string tensor_name(const char* what, const CategoricalColumn& column) {
  return "event." + std::string(what) + "_" + std::to_string(column.column);
}

double log_gap(double before, double time) { return std::log1p(time - before); }

}  // namespace

EventEncoder::EventEncoder(const SequencesView& training, const EncoderOptions& options)
    : time_features_(options.time_features) {
  for (const auto& column : options.categorical) categorical_.push_back({column, {}, -1});
  find_numeric(training.features());
  require_fit(training, "training");
  const std::vector<bool> covered = covered_events(training);
  learn_statistics(training, covered);
  learn_vocabularies(training, covered);
  if (time_features_) learn_gaps(training);
}

// Sums in double, in the order of the table.
void EventEncoder::learn_statistics(const SequencesView& training,
                                    const std::vector<bool>& covered) {
  const std::size_t n = numeric_.size();
  std::vector<double> mean(n, 0.0), squares(n, 0.0);
  const auto count = static_cast<double>(std::count(covered.begin(), covered.end(), true));
  for (std::size_t i = 0; i < covered.size(); ++i) {
    if (!covered[i]) continue;
    const float* x = training.values.row(static_cast<Index>(i));
    for (std::size_t k = 0; k < n; ++k) mean[k] += static_cast<double>(x[numeric_[k]]);
  }
  for (double& m : mean) m /= count;
  for (std::size_t i = 0; i < covered.size(); ++i) {
    if (!covered[i]) continue;
    const float* x = training.values.row(static_cast<Index>(i));
    for (std::size_t k = 0; k < n; ++k) {
      const double d = static_cast<double>(x[numeric_[k]]) - mean[k];
      squares[k] += d * d;
    }
  }
  mean_.resize(1, static_cast<Index>(n));
  scale_.resize(1, static_cast<Index>(n));
  for (std::size_t k = 0; k < n; ++k) {
    mean_(0, static_cast<Index>(k)) = static_cast<float>(mean[k]);
    scale_(0, static_cast<Index>(k)) = scale_of(mean[k], squares[k] / count);
  }
}

void EventEncoder::learn_vocabularies(const SequencesView& training,
                                      const std::vector<bool>& covered) {
  for (auto& vocabulary : categorical_) {
    std::map<float, Index> counts;
    for (std::size_t i = 0; i < covered.size(); ++i) {
      if (!covered[i]) continue;
      ++counts[training.values(static_cast<Index>(i), vocabulary.options.column)];
    }
    for (const auto& [code, count] : counts) {
      if (count >= vocabulary.options.min_count) vocabulary.codes.push_back(code);
    }
  }
}

void EventEncoder::learn_gaps(const SequencesView& training) {
  double sum = 0.0, squares = 0.0, count = 0.0;
  const auto for_each_gap = [&](auto visit) {
    for (Index i = 0; i < training.size; ++i) {
      for (Index t = training.starts[i] + 1; t < training.stops[i]; ++t) {
        visit(log_gap(training.times[t - 1], training.times[t]));
      }
    }
  };
  for_each_gap([&](double gap) {
    sum += gap;
    count += 1.0;
  });
  if (count == 0.0) return;
  const double mean = sum / count;
  for_each_gap([&](double gap) { squares += (gap - mean) * (gap - mean); });
  gap_mean_ = static_cast<float>(mean);
  gap_scale_ = scale_of(mean, squares / count);
}

EventEncoder::EventEncoder(NamedTensors& tensors, const EncoderOptions& options)
    : time_features_(options.time_features) {
  for (const auto& column : options.categorical) {
    Vocabulary& vocabulary = categorical_.emplace_back(Vocabulary{column, {}, -1});
    const std::string name = tensor_name("vocabulary", column);
    if (!tensors.has(name)) continue;  // no category was seen often enough
    const auto& codes = tensors.take(name, 1, -1);
    vocabulary.codes.assign(codes.data(), codes.data() + codes.size());
    if (std::adjacent_find(vocabulary.codes.begin(), vocabulary.codes.end(),
                           std::greater_equal<>()) != vocabulary.codes.end()) {
      throw FileError("encoder: tensor '" + name + "' does not hold increasing codes");
    }
  }
  if (categorical_.empty() || tensors.has("feature.mean")) {
    mean_ = tensors.take("feature.mean", 1, -1).eigen();
    scale_ = tensors.take("feature.scale", 1, mean_.cols()).eigen();
  }
  if (time_features_) {
    gap_mean_ = tensors.take("time.mean", 1, 1)(0, 0);
    gap_scale_ = tensors.take("time.scale", 1, 1)(0, 0);
  }
  find_numeric(mean_.cols() + n_categorical());
}

void EventEncoder::find_numeric(Index features) {
  for (Index j = 0; j < features; ++j) {
    const auto holds = [&](const Vocabulary& v) { return v.options.column == j; };
    if (std::none_of(categorical_.begin(), categorical_.end(), holds)) numeric_.push_back(j);
  }
  for (const auto& vocabulary : categorical_) {
    if (vocabulary.options.column < features) continue;
    throw InvalidArgument("categorical: expected columns below " + std::to_string(features) +
                          ", got " + std::to_string(vocabulary.options.column));
  }
}

void EventEncoder::add_to(NamedTensors::Map& tensors) const {
  if (!numeric_.empty()) {
    tensors["feature.mean"] = mean_;
    tensors["feature.scale"] = scale_;
  }
  for (const auto& vocabulary : categorical_) {
    if (vocabulary.codes.empty()) continue;
    tensors[tensor_name("vocabulary", vocabulary.options)] = Eigen::Map<const Matrix<float>>(
        vocabulary.codes.data(), 1, static_cast<Index>(vocabulary.codes.size()));
  }
  if (time_features_) {
    tensors["time.mean"] = Matrix<float>::Constant(1, 1, gap_mean_);
    tensors["time.scale"] = Matrix<float>::Constant(1, 1, gap_scale_);
  }
}

void EventEncoder::require_fit(const SequencesView& sequences, const char* name) const {
  if (sequences.features() != features()) {
    throw InvalidArgument(std::string(name) + ": expected " + std::to_string(features()) +
                          " features per event, as in training, got " +
                          std::to_string(sequences.features()));
  }
  if (time_features_ && sequences.times == nullptr) {
    throw InvalidArgument(std::string(name) +
                          ": the encoder reads when events happened; got sequences without times");
  }
}

void EventEncoder::declare(nn::Parameters<float>& parameters, Rng& rng) {
  for (auto& vocabulary : categorical_) {
    const Index rows = static_cast<Index>(vocabulary.codes.size()) + 1;
    const Index size = vocabulary.options.dimension;
    const auto draw = [&](float* table) {
      for (Index i = size; i < rows * size; ++i) table[i] = static_cast<float>(0.1 * rng.normal());
    };
    vocabulary.table =
        parameters.add_with(tensor_name("embedding", vocabulary.options), rows, size, draw);
  }
}

void EventEncoder::project(nn::Parameters<float>& parameters) const {
  for (const auto& vocabulary : categorical_) {
    if (vocabulary.options.max_norm == 0) continue;
    const auto& entry = parameters.entry(vocabulary.table);
    for (Index i = 0; i < entry.rows; ++i) {
      float* const row = parameters.writable(vocabulary.table) + i * entry.cols;
      double squares = 0.0;
      for (Index j = 0; j < entry.cols; ++j) {
        squares += static_cast<double>(row[j]) * static_cast<double>(row[j]);
      }
      const double norm = std::sqrt(squares);
      if (norm <= vocabulary.options.max_norm) continue;
      const auto factor = static_cast<float>(vocabulary.options.max_norm / norm);
      for (Index j = 0; j < entry.cols; ++j) row[j] *= factor;
    }
  }
}

Index EventEncoder::dense_inputs() const {
  return static_cast<Index>(numeric_.size()) + (time_features_ ? kTimeColumns : 0);
}

Index EventEncoder::inputs() const {
  Index out = dense_inputs();
  for (const auto& vocabulary : categorical_) out += vocabulary.options.dimension;
  return out;
}

Index EventEncoder::vocabulary_size(Index c) const {
  return static_cast<Index>(categorical_[at(c)].codes.size()) + 1;
}

Index EventEncoder::category(Index c, const float* event) const {
  const auto& codes = categorical_[at(c)].codes;
  const float code = event[categorical_[at(c)].options.column];
  const auto found = std::lower_bound(codes.begin(), codes.end(), code);
  return found == codes.end() || *found != code ? 0 : found - codes.begin() + 1;
}

/// Of event t of a sequence that begins with event `begin`.
void EventEncoder::encode_time(double time, const double* before, float* out) const {
  const double day = time / kDay;
  const double hour_angle = 2 * std::numbers::pi * (day - std::floor(day));
  // 1970-01-01 was a Thursday: days since Monday.
  const double week = (day + 3.0) / 7.0;
  const double week_angle = 2 * std::numbers::pi * (week - std::floor(week));
  out[0] = before == nullptr
               ? 0.0F
               : (static_cast<float>(log_gap(*before, time)) - gap_mean_) * gap_scale_;
  out[1] = static_cast<float>(std::sin(hour_angle));
  out[2] = static_cast<float>(std::cos(hour_angle));
  out[3] = static_cast<float>(std::sin(week_angle));
  out[4] = static_cast<float>(std::cos(week_angle));
}

void EventEncoder::encode_numbers(const float* event, float* out) const {
  for (std::size_t k = 0; k < numeric_.size(); ++k) {
    const auto column = static_cast<Index>(k);
    out[k] = (event[numeric_[k]] - mean_(0, column)) * scale_(0, column);
  }
}

void EventEncoder::encode_dense(const SequencesView& sequences, Index i, float* out,
                                Index stride) const {
  const Index begin = sequences.starts[i];
  for (Index t = begin; t < sequences.stops[i]; ++t, out += stride) {
    encode_numbers(sequences.values.row(t), out);
    if (!time_features_) continue;
    encode_time(sequences.times[t], t == begin ? nullptr : sequences.times + t - 1,
                out + numeric_.size());
  }
}

void EventEncoder::encode(const nn::Parameters<float>& parameters, const float* event, double time,
                          const double* before, float* out) const {
  encode_numbers(event, out);
  if (time_features_) encode_time(time, before, out + numeric_.size());
  out += dense_inputs();
  for (Index c = 0; c < n_categorical(); ++c) {
    const auto table = parameters.view(categorical_[at(c)].table);
    std::copy_n(table.row(category(c, event)), table.cols, out);
    out += table.cols;
  }
}

void EventEncoder::encode(const nn::Parameters<float>& parameters, const SequencesView& sequences,
                          Index i, float* out) const {
  const Index begin = sequences.starts[i], stride = inputs();
  const double* const times = sequences.times;
  for (Index t = begin; t < sequences.stops[i]; ++t, out += stride) {
    encode(parameters, sequences.values.row(t), times == nullptr ? 0.0 : times[t],
           times == nullptr || t == begin ? nullptr : times + t - 1, out);
  }
}

autograd::Variable<float> EventEncoder::encode(const nn::BoundParameters<float>& parameters,
                                               const SequencesView& sequences,
                                               std::span<const Index> rows, Index events) const {
  auto& tape = parameters.tape();
  const auto dense = tape.constant(events, dense_inputs());
  float* to = dense.value().data();
  for (const Index row : rows) {
    encode_dense(sequences, row, to, dense_inputs());
    to += sequences.length(row) * dense_inputs();
  }
  if (categorical_.empty()) return dense;
  auto* const parts =
      tape.scratch_of<autograd::Variable<float>>(static_cast<Index>(categorical_.size()) + 1);
  parts[0] = dense;
  for (Index c = 0; c < n_categorical(); ++c) {
    Index* const categories = tape.scratch_of<Index>(events);
    Index event = 0;
    for (const Index row : rows) {
      const float* x = sequences.events(row);
      for (Index t = 0; t < sequences.length(row); ++t, x += sequences.features()) {
        categories[event++] = category(c, x);
      }
    }
    parts[c + 1] =
        autograd::gather_rows(parameters[categorical_[at(c)].table], {categories, at(events)});
  }
  return autograd::concat_columns<float>(
      std::span<const autograd::Variable<float>>(parts, categorical_.size() + 1));
}

}  // namespace ecseq::encoders
