#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace ecseq::relation {

/// Sums that halve with every half-life, after each of a list of moments:
///   s_i = s_(i-1) 2^(-(t_i - t_(i-1)) / h) + v_i
/// for several half-lives h and columns v at once. Entry 0 stands for moments that are no longer
/// listed ("folded"). The list of moments itself is the caller's.
class DecayedSums {
 public:
  /// Of the folded moments the latest; minus infinity before any is.
  double folded_until() const { return until_; }
  /// What the folded moments add up to at `folded_until`. [half_lives, columns]
  std::vector<double> folded(std::size_t size) const {
    std::vector<double> out(size, 0.0);
    if (!after_.empty()) std::copy_n(after_.begin(), size, out.begin());
    return out;
  }
  void set_folded(double until, std::vector<double> sums) {
    until_ = until;
    after_ = std::move(sums);
  }

  /// Computes the sums from moment `first` on. values(i, j): column j of moment i.
  template <class Values>
  void update(std::span<const double> half_lives, std::span<const double> times,
              std::size_t columns, std::size_t first, Values values) {
    const std::size_t size = half_lives.size() * columns;
    after_.resize((times.size() + 1) * size, 0.0);
    for (std::size_t i = first; i < times.size(); ++i) {
      const double before = i == 0 ? until_ : times[i - 1];
      for (std::size_t h = 0; h < half_lives.size(); ++h) {
        const double left = std::exp2(-(times[i] - before) / half_lives[h]);
        for (std::size_t j = 0; j < columns; ++j) {
          const std::size_t at = i * size + h * columns + j;
          after_[at + size] = after_[at] * left + values(i, j);
        }
      }
    }
  }

  /// Column j for half-life h, at moment `time`, of the first `count` moments.
  double at(std::span<const double> half_lives, std::span<const double> times, std::size_t columns,
            std::size_t count, double time, std::size_t h, std::size_t j) const {
    const double last = count == 0 ? until_ : times[count - 1];
    if (after_.empty() || std::isinf(last)) return 0.0;
    const std::size_t size = half_lives.size() * columns;
    return after_[count * size + h * columns + j] *
           std::exp2(-std::max(0.0, time - last) / half_lives[h]);
  }

  /// The first `count` moments are no longer listed from now on.
  void fold(std::span<const double> times, std::size_t size, std::size_t count) {
    if (count == 0 || size == 0) return;
    until_ = times[count - 1];
    after_.erase(after_.begin(), after_.begin() + static_cast<std::ptrdiff_t>(count * size));
  }

  /// One moment more among the folded ones; `update` from 0 must follow. value(j): its columns.
  template <class Value>
  void add_folded(std::span<const double> half_lives, std::size_t columns, double time,
                  Value value) {
    const double until = std::max(until_, time);
    after_.resize(std::max(after_.size(), half_lives.size() * columns), 0.0);
    for (std::size_t h = 0; h < half_lives.size(); ++h) {
      const double left = std::isinf(until_) ? 0.0 : std::exp2(-(until - until_) / half_lives[h]);
      for (std::size_t j = 0; j < columns; ++j) {
        double& sum = after_[h * columns + j];
        sum = sum * left + value(j) * std::exp2(-(until - time) / half_lives[h]);
      }
    }
    until_ = until;
  }

 private:
  double until_ = -std::numeric_limits<double>::infinity();
  std::vector<double> after_;  ///< [moments + 1, half_lives, columns]
};

}  // namespace ecseq::relation
