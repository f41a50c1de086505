#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "ecseq/core/rng.hpp"
#include "ecseq/pipeline/model.hpp"
#include "ecseq/serving/request.hpp"

// Events of users at terminals, and a small model of them.

namespace ecseq::serving {

inline constexpr double kDay = 86400.0;
inline constexpr Index kWindow = 6;

/// Events of users at terminals, in time order; some terminals are bad, and so are their events.
struct Stream {
  Matrix<float> values;
  std::vector<std::uint64_t> user;
  std::vector<relation::EntityKey> terminal;
  std::vector<double> time;
  Targets y{Task::kBinary, 2, {}};

  Stream(Index n, std::uint64_t seed, double first_day, double days) {
    Rng rng(seed), terminals(77);
    std::vector<double> rate(20);
    for (double& r : rate) r = terminals.uniform() < 0.3 ? 0.8 : 0.05;
    values.resize(n, 2);
    for (Index i = 0; i < n; ++i) {
      values(i, 0) = static_cast<float>(rng.normal());
      values(i, 1) = static_cast<float>(rng.normal());
      user.push_back(static_cast<std::uint64_t>(rng.below(30)));
      const auto at = static_cast<std::size_t>(rng.below(20));
      terminal.push_back(relation::entity_key(static_cast<std::int64_t>(at)));
      time.push_back((first_day + days * static_cast<double>(i / 2 * 2) / double(n)) * kDay);
      const bool bad = rng.uniform() < rate[at] || values(i, 0) > 1.5F;
      y.values.push_back(bad ? 1.0F : 0.0F);
    }
  }
  Index size() const { return values.rows(); }

  /// One sequence per event: the user's last kWindow events up to it, in the order of time.
  Sequences windows() const {
    std::map<std::uint64_t, std::vector<Index>> of;
    Matrix<float> table(size() * kWindow, 2);
    std::vector<std::int64_t> offsets{0};
    for (Index i = 0; i < size(); ++i) {
      auto& events = of[user[static_cast<std::size_t>(i)]];
      events.push_back(i);
      const std::size_t first = events.size() > kWindow ? events.size() - kWindow : 0;
      for (std::size_t e = first; e < events.size(); ++e) {
        table.row(offsets.back() + static_cast<Index>(e - first)) = values.row(events[e]);
      }
      offsets.push_back(offsets.back() + static_cast<Index>(events.size() - first));
    }
    table.conservativeResize(offsets.back(), Eigen::NoChange);
    return Sequences(std::move(table), offsets);
  }
};

struct Fitted {
  Stream past{900, 1, 0.0, 60.0}, validation{300, 2, 60.0, 20.0}, future{400, 3, 80.0, 20.0};
  Sequences windows[3] = {past.windows(), validation.windows(), future.windows()};
  pipeline::Model model;

  explicit Fitted(const char* aggregator = "summary", const char* cell = "gru")
      : model(fit(aggregator, cell)) {}

  static pipeline::Samples samples(const Stream& stream, const Sequences& sequences) {
    pipeline::Samples out;
    out.sequences = sequences.view();
    out.entities.push_back({"terminal", stream.terminal, {}});
    out.times = stream.time;
    return out;
  }
  pipeline::Model fit(const char* aggregator, const char* cell) const {
    encoders::EncoderOptions encoder;
    encoder.cell = cell;
    encoder.hidden_size = 8;
    encoder.training.max_epochs = 2;
    pipeline::ModelOptions options;
    options.similarity->n_representatives = 12;
    relation::EntityOptions terminal;
    terminal.by = "terminal";
    terminal.windows = {7 * kDay, 30 * kDay};
    terminal.label_delay = 7 * kDay;
    terminal.aggregator = aggregator;
    options.entities = {terminal};
    options.training.max_epochs = 4;
    options.gate = false;
    options.controls = false;
    return pipeline::Model::fit(
        samples(past, windows[0]), past.y, samples(validation, windows[1]), validation.y, options,
        encoders::SequenceEncoder::fit(windows[0], past.y, windows[1], validation.y, encoder));
  }
  pipeline::Samples future_samples() const { return samples(future, windows[2]); }
};

inline Event event_of(const Stream& stream, Index i, std::span<const relation::EntityKey>& keys) {
  keys = {&stream.terminal[static_cast<std::size_t>(i)], 1};
  return {{stream.values.row(i).data(), 2}, stream.time[static_cast<std::size_t>(i)], {&keys, 1}};
}

}  // namespace ecseq::serving
