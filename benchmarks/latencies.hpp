#pragma once

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

// How long single calls take: the percentiles, of which Google Benchmark tells the mean alone.

namespace ecseq::benchmarks {

/// In nanoseconds since some moment.
inline std::int64_t wall_clock() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}
/// Of the calling thread: costs more to read, but stands still while other programs run.
inline std::int64_t thread_clock() {
  timespec time;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// Times every call on its own. What reading the clock takes is in each, unless told to be left
/// out.
template <std::int64_t (*clock_now)() = wall_clock>
class Latencies {
 public:
  /// left_out: nanoseconds to be taken from each, such as `cost_of_clock`.
  explicit Latencies(double left_out = 0.0) : left_out_(left_out) { nanoseconds_.reserve(1 << 20); }

  /// Of two readings with nothing between them: the median, in nanoseconds.
  static double cost_of_clock() {
    Latencies empty;
    for (int i = 0; i < 10'001; ++i) empty.time([] {});
    std::ranges::sort(empty.nanoseconds_);
    return empty.quantile(0.5);
  }

  /// Returns the call's time in nanoseconds.
  template <class Call>
  double time(const Call& call) {
    const std::int64_t begin = clock_now();
    call();
    const auto taken = static_cast<double>(clock_now() - begin);
    nanoseconds_.push_back(std::max(0.0, taken - left_out_));
    return nanoseconds_.back();
  }

  /// Sets the counters p50_us, p99_us, p99.9_us, p99.99_us and max_us; or p50_ns and so on.
  void report_microseconds(benchmark::State& state) { report(state, 1e-3, "_us"); }
  void report_nanoseconds(benchmark::State& state) { report(state, 1.0, "_ns"); }

 private:
  void report(benchmark::State& state, double per_nanosecond, const std::string& unit) {
    std::ranges::sort(nanoseconds_);
    const std::pair<const char*, double> counters[] = {
        {"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}, {"max", 1.0}};
    for (const auto& [name, q] : counters) {
      state.counters[name + unit] = quantile(q) * per_nanosecond;
    }
  }
  /// Of sorted ones.
  double quantile(double q) const {
    const auto last = static_cast<double>(nanoseconds_.size() - 1);
    return nanoseconds_[static_cast<std::size_t>(q * last)];
  }

  double left_out_;
  std::vector<double> nanoseconds_;
};

}  // namespace ecseq::benchmarks
