#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <vector>

namespace service {

/// Durations counted in buckets no wider than 1.6 % of what they hold: 64 in each power of two.
class LatencyHistogram {
 public:
  void add(std::chrono::nanoseconds duration) {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(0, duration.count()));
    ++counts_[bucket_of(value)];
    ++count_;
    longest_ = std::max(longest_, value);
  }

  std::uint64_t count() const { return count_; }
  double longest() const { return static_cast<double>(longest_) * 1e-9; }

  /// Seconds that a share of the durations does not exceed; 0 of none.
  double quantile(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_));
    std::uint64_t below = 0;
    for (std::size_t b = 0; b < counts_.size(); ++b) {
      below += counts_[b];
      if (below > wanted) return static_cast<double>(std::min(end_of(b), longest_)) * 1e-9;
    }
    return longest();
  }

 private:
  static constexpr int kBits = 6;

  static std::size_t bucket_of(std::uint64_t value) {
    const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - kBits - 1);
    return (static_cast<std::size_t>(shift) << kBits) + static_cast<std::size_t>(value >> shift);
  }
  static std::uint64_t end_of(std::size_t bucket) {
    const std::size_t shift = bucket < (2u << kBits) ? 0 : (bucket >> kBits) - 1;
    return ((static_cast<std::uint64_t>(bucket) - (shift << kBits)) + 1) << shift;
  }

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>((64 - kBits + 1) << kBits);
  std::uint64_t count_ = 0;
  std::uint64_t longest_ = 0;
};

}  // namespace service
