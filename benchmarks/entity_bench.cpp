// A random one of a million resident entities, asked and told of an event: what an online service
// does for every event. Medians and tails of single calls, in nanoseconds, without the clock's own
// cost, beside the machine's limit, loads at random that wait for each other. One thread; pin it.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "ecseq/core/rng.hpp"
#include "ecseq/relation/entity_memory.hpp"
#include "ecseq/serving/entity_states.hpp"
#include "latencies.hpp"

namespace {

using namespace ecseq;
using benchmarks::Latencies;
using relation::EntityKey;
using relation::EntityMemory;

constexpr double kDay = 86400;
constexpr double kBegin = 1.7e9;  // seconds since 1970
constexpr double kEnd = kBegin + 60 * kDay;
constexpr Index kEntities = 1'000'000;
constexpr Index kTerminals = 100'000;

relation::EntityOptions options() {
  relation::EntityOptions out;
  out.by = "card";
  out.memory = 24;
  out.windows = {kDay, 7 * kDay, 30 * kDay};
  out.label_delay = 7 * kDay;
  out.base_outputs = true;
  return out;
}

EntityKey key_of(Index i) { return relation::entity_key(i); }

/// `entities` with 5 to 40 labelled events each in 60 days, remembered in the order of time.
EntityMemory resident(Index entities) {
  EntityMemory memory(options(), {0.05});
  Rng rng(1);
  std::vector<int> events(static_cast<std::size_t>(entities));
  for (int& n : events) n = 5 + static_cast<int>(rng.below(36));
  for (int round = 0; round < 40; ++round) {
    for (Index i = 0; i < entities; ++i) {
      const int n = events[static_cast<std::size_t>(i)];
      if (round >= n) continue;
      const float label = rng.uniform() < 0.1 ? 1.0f : 0.0f;
      const auto base = static_cast<float>(rng.normal());
      memory.observe(key_of(i), kBegin + (kEnd - kBegin) * (round + rng.uniform()) / n, &label,
                     &base);
    }
  }
  return memory;
}

EntityMemory& million() {
  static EntityMemory memory = resident(kEntities);
  return memory;
}

/// Cards and terminals.
serving::EntityStates& cards_and_terminals() {
  static serving::EntityStates states({million(), resident(kTerminals)}, Task::kBinary, 0, 1);
  return states;
}

/// One load from somewhere in a gigabyte, the next place being known only then.
void dependent_load(benchmark::State& state) {
  constexpr std::size_t kLines = std::size_t{1} << 24;
  std::vector<std::uint64_t> memory(8 * kLines);
  for (std::size_t i = 0; i < kLines; ++i) memory[8 * i] = i;
  Rng rng(5);
  for (std::size_t i = kLines - 1; i > 0; --i) {  // one cycle through all (Sattolo)
    std::swap(memory[8 * i],
              memory[8 * static_cast<std::size_t>(rng.below(static_cast<Index>(i)))]);
  }
  std::size_t at = 0;
  for (auto _ : state) at = memory[8 * at];
  benchmark::DoNotOptimize(at);
}

/// About as long as an encoder takes for one event.
void wait() {
  const auto begin = benchmarks::wall_clock();
  while (benchmarks::wall_clock() - begin < 700) {
  }
}

void features_of_random(benchmark::State& state) {
  EntityMemory& memory = million();
  std::vector<float> out(static_cast<std::size_t>(memory.n_features()));
  Rng rng(2);
  Latencies<> latencies(Latencies<>::cost_of_clock());
  for (auto _ : state) {
    const EntityKey key = key_of(rng.below(kEntities));
    const auto look_up = [&] { memory.features(key, kEnd, out.data()); };
    state.SetIterationTime(1e-9 * latencies.time(look_up));
    benchmark::DoNotOptimize(out.data());
  }
  latencies.report_nanoseconds(state);
}

/// Arguments: whether the label comes with the event; whether the entity was fetched before, while
/// the service did something else.
void features_and_observe_of_random(benchmark::State& state) {
  EntityMemory& memory = million();
  std::vector<float> out(static_cast<std::size_t>(memory.n_features()));
  Rng rng(3);
  Latencies<> latencies(Latencies<>::cost_of_clock());
  double time = kEnd;
  const bool labelled = state.range(0) != 0, fetched = state.range(1) != 0;
  for (auto _ : state) {
    const EntityKey key = key_of(rng.below(kEntities));
    const float label = rng.uniform() < 0.1 ? 1.0f : 0.0f, base = -1;
    time += 0.01;
    if (fetched) {
      memory.prefetch_index(key);
      memory.prefetch_entity(key);
      wait();
    }
    const auto ask_and_tell = [&] {
      memory.features(key, time, out.data());
      memory.observe(key, time, labelled ? &label : nullptr, &base);
    };
    state.SetIterationTime(1e-9 * latencies.time(ask_and_tell));
    benchmark::DoNotOptimize(out.data());
  }
  latencies.report_nanoseconds(state);
}

/// The whole of the entities' part of an event of two relations, its place among those that wait
/// for a label included. Argument: whether the entities were fetched before.
void states_of_two_relations(benchmark::State& state) {
  serving::EntityStates& states = cards_and_terminals();
  std::vector<float> out(static_cast<std::size_t>(states.width(0)));
  Rng rng(6);
  Latencies<> latencies(Latencies<>::cost_of_clock());
  Arena scratch;
  static double time = kEnd;
  static std::uint64_t event = 0;
  for (auto _ : state) {
    const EntityKey card = key_of(rng.below(kEntities)), terminal = key_of(rng.below(kTerminals));
    const std::span<const EntityKey> entities[] = {{&card, 1}, {&terminal, 1}};
    const auto base = static_cast<float>(rng.normal());
    const std::uint64_t id = serving::event_id(++event, time += 0.01);
    if (state.range(0) != 0) {
      states.prefetch_index(id, entities);
      states.prefetch(entities);
      wait();
    }
    const auto ask_and_tell = [&] {
      scratch.reset();
      states.facts(0, entities[0], time, out.data(), scratch);
      states.facts(1, entities[1], time, out.data(), scratch);
      states.observe(id, time, entities, {&base, 1});
    };
    state.SetIterationTime(1e-9 * latencies.time(ask_and_tell));
    benchmark::DoNotOptimize(out.data());
  }
  latencies.report_nanoseconds(state);
}

/// 100,000 rows of 5,000 entities. Argument: threads.
void replay(benchmark::State& state) {
  constexpr Index n = 100'000;
  Rng rng(4);
  std::vector<EntityKey> keys;
  std::vector<double> times;
  Matrix<float> labels(n, 1), base(n, 1);
  for (Index i = 0; i < n; ++i) {
    keys.push_back(key_of(rng.below(5'000)));
    times.push_back(kBegin + (kEnd - kBegin) * rng.uniform());
    labels(i, 0) = rng.uniform() < 0.1 ? 1.0f : 0.0f;
    base(i, 0) = static_cast<float>(rng.normal());
  }
  for (auto _ : state) {
    EntityMemory memory(options(), {0.05});
    benchmark::DoNotOptimize(
        memory.replay(keys, times, labels, base, static_cast<int>(state.range(0))).data());
  }
  state.SetItemsProcessed(state.iterations() * n);
}

BENCHMARK(dependent_load);
BENCHMARK(features_of_random)->UseManualTime();
BENCHMARK(features_and_observe_of_random)->ArgsProduct({{0, 1}, {0, 1}})->UseManualTime();
BENCHMARK(states_of_two_relations)->Arg(0)->Arg(1)->UseManualTime();
BENCHMARK(replay)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
