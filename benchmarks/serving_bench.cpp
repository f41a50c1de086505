// Latencies of single calls, as a service sees them: percentiles over requests of distinct users on
// one pinned core. Reported as counters in microseconds; the mean time of Google Benchmark includes
// reading the clock.
//
// With --models FOLDER the models and events are those of its files, GNN_K.safetensors and
// events.f32 (what compare/serving.py writes), instead of made here. With --check as well nothing
// is timed: beside each model GNN_K.scores.f32 gets what its scorer says of the first users,
// [users, 2]: of the whole sequence, and after the last of its events, read one by one.

#include <benchmark/benchmark.h>
#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "ecseq/core/rng.hpp"
#include "ecseq/io/input_file.hpp"
#include "ecseq/kernels/vec.hpp"
#include "ecseq/serving/live_scorer.hpp"
#include "ecseq/serving/state_store.hpp"
#include "latencies.hpp"

namespace {

using namespace ecseq;
using benchmarks::Latencies;

constexpr Index kLength = 50, kFeatures = 32, kHidden = 32;
constexpr Index kUsers = 100'000;  // whose histories overlap in one table, each begins elsewhere
constexpr Index kShift = 7;

std::filesystem::path folder;  ///< of models and events; empty: they are made here
std::string file_of(const std::string& gnn, Index representatives, const char* ending) {
  return folder / (gnn + "_" + std::to_string(representatives) + ending);
}

/// Events of everybody.
const Matrix<float>& table() {
  static const Matrix<float> values = [] {
    Rng rng(1);
    Matrix<float> out(kUsers * kShift + kLength, kFeatures);
    if (!folder.empty()) {
      io::InputFile file(folder / "events.f32");
      file.read(out.data(), sizeof(float) * static_cast<std::size_t>(out.size()));
      return out;
    }
    for (Index i = 0; i < out.size(); ++i) out.data()[i] = static_cast<float>(rng.uniform(-1, 1));
    return out;
  }();
  return values;
}

/// A model of K representatives and top 8, with a head of 16 hidden units. Its weights hardly
/// matter to the time; it is trained for one epoch.
pipeline::Model make_model(const std::string& gnn, Index representatives,
                           const std::string& cell = "lstm") {
  const Index n = std::max<Index>(2000, representatives);
  Rng rng(2);
  Sequences sequences;
  Targets y{Task::kBinary, 2, {}};
  std::vector<std::int64_t> offsets{0};
  for (Index i = 0; i < n; ++i) {
    offsets.push_back(offsets.back() + 5);
    y.values.push_back(rng.uniform() < 0.3 ? 1.0F : 0.0F);
  }
  sequences = Sequences(table().topRows(5 * n), offsets);
  encoders::EncoderOptions encoder;
  encoder.cell = cell;
  encoder.hidden_size = kHidden;
  encoder.training.max_epochs = 1;
  pipeline::ModelOptions options;
  options.similarity->n_representatives = representatives;
  options.similarity->iterations = 5;
  options.gnn = gnn;
  options.hidden_size = 32;
  options.head = {16};
  options.gate = false;
  options.controls = false;
  options.training.max_epochs = 1;
  pipeline::Samples samples;
  samples.sequences = sequences.view();
  return pipeline::Model::fit(samples, y, samples, y, options,
                              encoders::SequenceEncoder::fit(sequences, y, sequences, y, encoder));
}

const serving::Scorer& scorer_of(const std::string& gnn, Index representatives) {
  static std::map<std::pair<std::string, Index>, serving::Scorer> made;
  const auto key = std::make_pair(gnn, representatives);
  const auto found = made.find(key);
  if (found != made.end()) return found->second;
  if (!folder.empty()) {
    const std::string file = file_of(gnn, representatives, ".safetensors");
    return made.emplace(key, serving::Scorer::load(file)).first->second;
  }
  return made.emplace(key, serving::Scorer(make_model(gnn, representatives))).first->second;
}

void pin_to_one_core() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  sched_setaffinity(0, sizeof one, &one);
}

/// The requests of distinct users, in an order no prefetcher follows.
class Users {
 public:
  Users() : order_(Rng(3).permutation(kUsers)) {}
  const float* next() {
    at_ = at_ + 1 == order_.size() ? 0 : at_ + 1;
    return table().row(order_[at_] * kShift).data();
  }

 private:
  std::vector<Index> order_;
  std::size_t at_ = 0;
};

void BM_WholeSequence(benchmark::State& state, const char* gnn, Index representatives) {
  const serving::Scorer scorer = scorer_of(gnn, representatives);
  serving::Workspace workspace;
  Users users;
  Latencies<> latencies;
  float sum = 0.0F;
  for (auto _ : state) {
    const serving::Request request{{users.next(), kLength, kFeatures}, {}, 0.0, {}};
    latencies.time([&] { sum += scorer.score(request, workspace).value(); });
  }
  benchmark::DoNotOptimize(sum);
  latencies.report_microseconds(state);
}
BENCHMARK_CAPTURE(BM_WholeSequence, sage_mean_500, "sage_mean", 500)->Iterations(kUsers);
BENCHMARK_CAPTURE(BM_WholeSequence, sage_mean_5000, "sage_mean", 5000)->Iterations(kUsers);
BENCHMARK_CAPTURE(BM_WholeSequence, gat_500, "gat", 500)->Iterations(kUsers);
BENCHMARK_CAPTURE(BM_WholeSequence, attention_500, "attention", 500)->Iterations(kUsers);

/// One event more and a new score. A thousand states stay near.
void BM_OneEvent(benchmark::State& state, const char* gnn) {
  const serving::Scorer scorer = scorer_of(gnn, 500);
  serving::Workspace workspace;
  Users users;
  Latencies<> latencies;
  std::vector<serving::State> states;
  for (int i = 0; i < 1000; ++i) states.push_back(scorer.start());
  float sum = 0.0F, arrived[kFeatures];  // just parsed
  std::size_t next = 0;
  for (auto _ : state) {
    auto& one = states[next = next + 1 == states.size() ? 0 : next + 1];
    std::copy_n(users.next(), kFeatures, arrived);
    const serving::Event event{arrived, 0.0, {}};
    latencies.time([&] { sum += scorer.update(one.block(), event, workspace).value(); });
  }
  benchmark::DoNotOptimize(sum);
  latencies.report_microseconds(state);
}
BENCHMARK_CAPTURE(BM_OneEvent, sage_mean, "sage_mean")->Iterations(200'000);
BENCHMARK_CAPTURE(BM_OneEvent, gat, "gat")->Iterations(200'000);
BENCHMARK_CAPTURE(BM_OneEvent, attention, "attention")->Iterations(200'000);

/// The same for random ones of a million resident users.
void BM_OneEventOfAMillionUsers(benchmark::State& state) {
  constexpr std::uint64_t kResident = 1'000'000;
  const serving::Scorer scorer = scorer_of("sage_mean", 500);
  serving::StateStoreOptions options;
  options.block_size = scorer.state_size();
  options.block_kind = scorer.encoder_id();
  serving::StateStore store(options);
  for (std::uint64_t user = 0; user < kResident; ++user) {
    store.with(user, [&](std::span<std::byte> block, bool) { scorer.start(block, user); });
  }
  serving::Workspace workspace;
  Users users;
  Latencies<> latencies;
  Rng rng(4);
  float sum = 0.0F, arrived[kFeatures];
  for (auto _ : state) {
    const auto user = static_cast<std::uint64_t>(rng.below(kResident));
    std::copy_n(users.next(), kFeatures, arrived);
    const serving::Event event{arrived, 0.0, {}};
    latencies.time([&] {
      sum += store.with(user, [&](std::span<std::byte> block, bool) {
        return scorer.update(block, event, workspace).value();
      });
    });
  }
  benchmark::DoNotOptimize(sum);
  latencies.report_microseconds(state);
}
BENCHMARK(BM_OneEventOfAMillionUsers)->Iterations(300'000);

/// Payments at terminals: a model with two entity relations, whose states are then filled with a
/// million cards and a hundred thousand terminals by three million events of sixty days.
class Payments {
 public:
  static constexpr std::int64_t kCards = 1'000'000, kTerminals = 100'000;
  static constexpr double kDay = 86400.0;

  Payments() : live_(serving::Scorer(make_model())) {
    constexpr Index kEvents = 3'000'000;
    serving::Workspace workspace;
    for (Index i = 0; i < kEvents; ++i) {
      next(60.0 * kDay / kEvents);
      live_.on_event(user_, event(), id_, workspace);
      if (id_ > kWaiting) live_.label(id_ - kWaiting, rng_.uniform() < 0.1 ? 1.0 : 0.0, time_);
    }
  }

  /// Draws the event that comes next.
  void next(double seconds) {
    const std::int64_t card = rng_.below(kCards), terminal = rng_.below(kTerminals);
    card_ = relation::entity_key(card);
    terminal_ = relation::entity_key(terminal);
    user_ = static_cast<std::uint64_t>(card);
    time_ += seconds;
    ++id_;
    for (float& value : values_) value = static_cast<float>(rng_.uniform(-1, 1));
  }
  serving::Event event() const { return {values_, time_, keys_}; }
  float score(serving::Workspace& workspace) {
    return live_.on_event(user_, event(), id_, workspace).value();
  }
  void label_oldest() { live_.label(id_ - kWaiting, 0.0, time_); }

 private:
  static constexpr std::uint64_t kWaiting = 300'000;  // events until a label comes

  static pipeline::Model make_model() {
    const Index n = 4000;
    Rng rng(5);
    std::vector<std::int64_t> offsets{0};
    Targets y{Task::kBinary, 2, {}};
    pipeline::Samples samples;
    pipeline::EntityColumn card{"card", {}, {}}, terminal{"terminal", {}, {}};
    for (Index i = 0; i < n; ++i) {
      offsets.push_back(offsets.back() + 5);
      y.values.push_back(rng.uniform() < 0.1 ? 1.0F : 0.0F);
      card.keys.push_back(relation::entity_key(rng.below(500)));
      terminal.keys.push_back(relation::entity_key(rng.below(100)));
      samples.times.push_back(-30.0 * kDay * (1.0 - double(i) / double(n)));
    }
    const Sequences sequences(table().topRows(5 * n), offsets);
    samples.sequences = sequences.view();
    samples.entities = {card, terminal};
    encoders::EncoderOptions encoder;
    encoder.hidden_size = kHidden;
    encoder.training.max_epochs = 1;
    pipeline::ModelOptions options;
    options.similarity->n_representatives = 500;
    for (const char* by : {"card", "terminal"}) {
      relation::EntityOptions entity;
      entity.by = by;
      entity.windows = {kDay, 7 * kDay, 30 * kDay};
      entity.label_delay = 7 * kDay;
      options.entities.push_back(entity);
    }
    options.head = {16};
    options.gate = false;
    options.controls = false;
    options.training.max_epochs = 1;
    return pipeline::Model::fit(
        samples, y, samples, y, options,
        encoders::SequenceEncoder::fit(sequences, y, sequences, y, encoder));
  }

  serving::LiveScorer live_;
  Rng rng_{6};
  float values_[kFeatures] = {};
  relation::EntityKey card_ = 1, terminal_ = 1;
  std::span<const relation::EntityKey> keys_[2] = {{&card_, 1}, {&terminal_, 1}};
  std::uint64_t user_ = 0, id_ = 0;
  double time_ = 0.0;
};

/// One event of a random card at a random terminal: scored with what is known of both, then
/// observed by both. Its labels come outside of the timing.
void BM_OneEventWithTwoEntities(benchmark::State& state) {
  static Payments payments;
  serving::Workspace workspace;
  Latencies<> latencies;
  float sum = 0.0F;
  for (auto _ : state) {
    payments.next(1.0);
    latencies.time([&] { sum += payments.score(workspace); });
    payments.label_oldest();
  }
  benchmark::DoNotOptimize(sum);
  latencies.report_microseconds(state);
}
BENCHMARK(BM_OneEventWithTwoEntities)->Iterations(300'000);

/// Sequences of 50 events per second.
void BM_Batch(benchmark::State& state) {
  constexpr Index kRows = 20'000;
  const serving::Scorer scorer = scorer_of("sage_mean", 500);
  std::vector<std::int64_t> starts, stops;
  for (Index i = 0; i < kRows; ++i) {
    starts.push_back(i * kShift);
    stops.push_back(i * kShift + kLength);
  }
  pipeline::Samples samples;
  samples.sequences = SequencesView{table(), starts.data(), stops.data(), kRows};
  for (auto _ : state) {
    benchmark::DoNotOptimize(scorer.score_batch(samples, static_cast<int>(state.range(0))));
  }
  state.counters["sequences/s"] = benchmark::Counter(
      static_cast<double>(kRows * state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Batch)->Arg(1)->Arg(2)->UseRealTime()->MinTime(2.0);

/// Writes what --check promises for one model.
void write_scores(const std::string& gnn, Index representatives) {
  constexpr Index kChecked = 1000;
  const serving::Scorer& scorer = scorer_of(gnn, representatives);
  serving::Workspace workspace;
  Matrix<float> scores(kChecked, 2);
  for (Index i = 0; i < kChecked; ++i) {
    const float* const events = table().row(i * kShift).data();
    scores(i, 0) = scorer.score({{events, kLength, kFeatures}, {}, 0.0, {}}, workspace).value();
    serving::State state = scorer.start();
    for (Index t = 0; t < kLength; ++t) {
      const serving::Event event{{events + t * kFeatures, kFeatures}, 0.0, {}};
      scores(i, 1) = scorer.update(state, event);
    }
  }
  std::ofstream file(file_of(gnn, representatives, ".scores.f32"), std::ios::binary);
  file.exceptions(std::ios::badbit | std::ios::failbit);
  file.write(reinterpret_cast<const char*>(scores.data()),
             static_cast<std::streamsize>(sizeof(float)) * scores.size());
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  bool check = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--models" && i + 1 < argc) folder = argv[++i];
    check = check || argument == "--check";
  }
  if (check && !folder.empty()) {
    for (const char* gnn : {"sage_mean", "gat", "attention"}) write_scores(gnn, 500);
    write_scores("sage_mean", 5000);
    return 0;
  }
  // Batches want all cores; they come last and by a filter of their own.
  const bool batch = benchmark::GetBenchmarkFilter().find("Batch") != std::string::npos;
  if (!batch) pin_to_one_core();
  benchmark::AddCustomContext("floats per vector", std::to_string(kernels::kLanes<float>));
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::RunSpecifiedBenchmarks();
}
