// A store of states: one user of many at random, first use, and a snapshot. One thread; the first
// argument is the number of users, a block has 304 bytes. Times of single calls are counters, in
// nanoseconds, and include two readings of the clock, which `clock` measures alone. First uses are
// timed by the thread's own clock, which costs more but stands still while other programs run:
// their maximum is the longest pause that growing makes.

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "ecseq/core/rng.hpp"
#include "ecseq/serving/state_store.hpp"

namespace {

using ecseq::Index;
using ecseq::Rng;
using ecseq::serving::StateStore;
using ecseq::serving::StateStoreOptions;

constexpr std::size_t kBlockSize = 304;
const StateStoreOptions kOptions{.block_size = kBlockSize};

double now() {
  return std::chrono::duration<double, std::nano>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double thread_now() {
  timespec time;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

/// Duration of each call by a clock, and what is reported of them.
template <double (*clock_now)() = now>
class Calls {
 public:
  template <class Call>
  void time(Call&& call) {
    const double start = clock_now();
    call();
    durations_.push_back(static_cast<float>(clock_now() - start));
  }
  void report(benchmark::State& state) {
    std::ranges::sort(durations_);
    const auto quantile = [&](double q) {
      return durations_[static_cast<std::size_t>(q * static_cast<double>(durations_.size() - 1))];
    };
    state.counters["p50"] = quantile(0.5);
    state.counters["p99"] = quantile(0.99);
    state.counters["p99.99"] = quantile(0.9999);
    state.counters["max"] = durations_.back();
  }

 private:
  std::vector<float> durations_;
};

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
  Calls<thread_now> calls;

  explicit Filled(Index n) {
    for (Index user = 0; user < n; ++user) {
      calls.time([&] {
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

template <double (*clock_now)()>
void clock(benchmark::State& state) {
  Calls<clock_now> calls;
  for (auto _ : state) calls.time([] {});
  calls.report(state);
}

void first_use(benchmark::State& state) {
  for (auto _ : state) {
    const double start = now();
    Filled& filled = Filled::of(state.range(0));
    state.SetIterationTime((now() - start) * 1e-9);
    filled.calls.report(state);
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
  Calls<> calls;
  std::size_t i = 0;
  for (auto _ : state) {
    calls.time([&] {
      if (ahead > 0) store.prefetch(users[(i + ahead) % users.size()]);
      store.with(users[i], [](std::span<std::byte> block, bool) { use(block); });
    });
    i = (i + 1) % users.size();
  }
  calls.report(state);
}

/// What a call costs without its cache misses.
void same_user(benchmark::State& state) {
  StateStore store(kOptions);
  Calls<> calls;
  for (auto _ : state) {
    calls.time([&] { store.with(7, [](std::span<std::byte> block, bool) { use(block); }); });
  }
  calls.report(state);
}

void save_and_load(benchmark::State& state) {
  const StateStore& store = Filled::of(state.range(0)).store;
  const std::string path =
      (std::filesystem::temp_directory_path() / "ecseq_state_store_bench").string();
  for (auto _ : state) {
    const double start = now();
    store.save(path);
    const double saved = now();
    benchmark::DoNotOptimize(StateStore::load(path, kOptions).size());
    state.counters["save s"] = (saved - start) * 1e-9;
    state.counters["load s"] = (now() - saved) * 1e-9;
  }
  std::filesystem::remove(path);
}

BENCHMARK(clock<now>);
BENCHMARK(clock<thread_now>);
BENCHMARK(same_user);
BENCHMARK(first_use)->Arg(1'000'000)->Iterations(1)->UseManualTime()->Unit(benchmark::kSecond);
BENCHMARK(random_user)->Args({1'000'000, 0})->Args({1'000'000, 1});
BENCHMARK(first_use)->Arg(10'000'000)->Iterations(1)->UseManualTime()->Unit(benchmark::kSecond);
BENCHMARK(random_user)->Args({10'000'000, 0})->Args({10'000'000, 1});
BENCHMARK(save_and_load)->Arg(10'000'000)->Iterations(1)->Unit(benchmark::kSecond)->UseRealTime();

}  // namespace
