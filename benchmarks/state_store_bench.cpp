// A store of states: one user of many at random, first use, and a snapshot. One thread; the first
// argument is the number of users, a block has 304 bytes. Times of single calls are counters, in
// nanoseconds, and include two readings of the clock, which `clock` measures alone. First uses are
// timed by the thread's own clock, which costs more but stands still while other programs run:
// their maximum is the longest pause that growing makes.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "ecseq/core/rng.hpp"
#include "ecseq/serving/state_store.hpp"
#include "latencies.hpp"

namespace {

using ecseq::Index;
using ecseq::Rng;
using ecseq::benchmarks::Latencies;
using ecseq::benchmarks::thread_clock;
using ecseq::benchmarks::wall_clock;
using ecseq::serving::StateStore;
using ecseq::serving::StateStoreOptions;

constexpr std::size_t kBlockSize = 304;
const StateStoreOptions kOptions{.block_size = kBlockSize};

/// Reads and writes the whole block, as a score does.
void use(std::span<std::byte> block) {
  for (std::size_t at = 0; at < block.size(); at += sizeof(float)) {
    float value;
    std::memcpy(&value, &block[at], sizeof value);
    value += 1.0F;
    std::memcpy(&block[at], &value, sizeof value);
  }
}

/// Users 0 .. n-1, made once; each first use is timed.
struct Filled {
  StateStore store{kOptions};
  Latencies<thread_clock> latencies;

  explicit Filled(Index n) {
    for (Index user = 0; user < n; ++user) {
      latencies.time([&] {
        store.with(static_cast<std::uint64_t>(user),
                   [](std::span<std::byte> block, bool) { use(block); });
      });
    }
  }
  /// One store at a time, to fit into memory.
  static Filled& of(Index n) {
    static std::map<Index, Filled> stores;
    if (!stores.contains(n)) stores.clear();
    return stores.try_emplace(n, n).first->second;
  }
};

template <std::int64_t (*clock_now)()>
void clock(benchmark::State& state) {
  Latencies<clock_now> latencies;
  for (auto _ : state) latencies.time([] {});
  latencies.report_nanoseconds(state);
}

double seconds_since(std::int64_t start) {
  return static_cast<double>(wall_clock() - start) * 1e-9;
}

void first_use(benchmark::State& state) {
  for (auto _ : state) {
    const std::int64_t start = wall_clock();
    Filled& filled = Filled::of(state.range(0));
    state.SetIterationTime(seconds_since(start));
    filled.latencies.report_nanoseconds(state);
    state.counters["bytes per user"] =
        static_cast<double>(filled.store.bytes()) / static_cast<double>(state.range(0));
  }
}

/// The second argument: how many calls ahead a user is prefetched, 0 for not at all.
void random_user(benchmark::State& state) {
  const Index n = state.range(0);
  StateStore& store = Filled::of(n).store;
  const auto ahead = static_cast<std::size_t>(state.range(1));
  Rng rng(1);
  std::vector<std::uint64_t> users(1 << 20);
  for (std::uint64_t& user : users) user = static_cast<std::uint64_t>(rng.below(n));
  Latencies<> latencies;
  std::size_t i = 0;
  for (auto _ : state) {
    latencies.time([&] {
      if (ahead > 0) store.prefetch(users[(i + ahead) % users.size()]);
      store.with(users[i], [](std::span<std::byte> block, bool) { use(block); });
    });
    i = (i + 1) % users.size();
  }
  latencies.report_nanoseconds(state);
}

/// What a call costs without its cache misses.
void same_user(benchmark::State& state) {
  StateStore store(kOptions);
  Latencies<> latencies;
  for (auto _ : state) {
    latencies.time([&] { store.with(7, [](std::span<std::byte> block, bool) { use(block); }); });
  }
  latencies.report_nanoseconds(state);
}

void save_and_load(benchmark::State& state) {
  const StateStore& store = Filled::of(state.range(0)).store;
  const std::string path =
      (std::filesystem::temp_directory_path() / "ecseq_state_store_bench").string();
  for (auto _ : state) {
    const std::int64_t start = wall_clock();
    store.save(path);
    const std::int64_t saved = wall_clock();
    benchmark::DoNotOptimize(StateStore::load(path, kOptions).size());
    state.counters["load s"] = seconds_since(saved);
    state.counters["save s"] = static_cast<double>(saved - start) * 1e-9;
  }
  std::filesystem::remove(path);
}

BENCHMARK(clock<wall_clock>);
BENCHMARK(clock<thread_clock>);
BENCHMARK(same_user);
BENCHMARK(first_use)->Arg(1'000'000)->Iterations(1)->UseManualTime()->Unit(benchmark::kSecond);
BENCHMARK(random_user)->Args({1'000'000, 0})->Args({1'000'000, 1});
BENCHMARK(first_use)->Arg(10'000'000)->Iterations(1)->UseManualTime()->Unit(benchmark::kSecond);
BENCHMARK(random_user)->Args({10'000'000, 0})->Args({10'000'000, 1});
BENCHMARK(save_and_load)->Arg(10'000'000)->Iterations(1)->Unit(benchmark::kSecond)->UseRealTime();

}  // namespace
