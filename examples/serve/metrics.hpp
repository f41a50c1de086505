#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace service {

/// Counts of what was asked and answered, and how long it took. Any number of threads.
class Metrics {
 public:
  void answered(std::string_view path, unsigned status, double seconds);

  /// Prometheus text: requests by path and code, their latency as histograms by path.
  std::string text() const;

 private:
  static constexpr std::array<const char*, 7> kPaths{"/event",  "/label",   "/score", "/explain",
                                                     "/health", "/metrics", "other"};
  static constexpr std::array<unsigned, 9> kCodes{200, 400, 404, 405, 408, 413, 431, 500, 503};
  /// Upper bounds in seconds; a last bucket holds the rest.
  static constexpr std::array<double, 14> kBounds{1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3,
                                                  2e-3, 5e-3, 1e-2, 3e-2, 0.1,  0.3,  1.0};

  struct Path {
    std::array<std::atomic<std::uint64_t>, kCodes.size()> by_code{};
    std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> by_latency{};
    std::atomic<std::uint64_t> nanoseconds{0};
  };
  std::array<Path, kPaths.size()> paths_;
};

// Lines of Prometheus text. type: "counter", "gauge" or "histogram".

void append_type(std::string& out, std::string_view name, std::string_view type);
/// labels: as in braces, by="terminal", or empty.
void append_sample(std::string& out, std::string_view name, std::string_view labels, double value);
/// Both, for a metric without labels.
void append_metric(std::string& out, std::string_view name, std::string_view type, double value);

}  // namespace service
