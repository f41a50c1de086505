#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

namespace ecseq::relation {

/// Sums that halve with every half-life, after each of a list of moments:
///   s_i = s_(i-1) 2^(-(t_i - t_(i-1)) / h) + v_i
/// for several half-lives h and columns v at once. Entry 0 stands for moments that are no longer
/// listed ("folded"). The list of moments itself and the memory are the caller's.
/// Number: double, or const double to read only.
template <class Number>
class DecayedSums {
 public:
  /// until: of the folded moments the latest, minus infinity before any is;
  /// after: [moments + 1, half_lives, columns], the first entry zeros before any is folded. To
  /// fold, take entries out in front; what is first then stands for them.
  DecayedSums(std::span<const double> half_lives, std::size_t columns, Number* until, Number* after)
      : half_lives_(half_lives), columns_(columns), until_(until), after_(after) {}

  /// Computes the sums from moment `first` on. values(i, j): column j of moment i.
  template <class Values>
  void update(std::span<const double> times, std::size_t first, Values values) {
    const std::size_t size = this->size();
    for (std::size_t i = first; i < times.size(); ++i) {
      const double before = i == 0 ? *until_ : times[i - 1];
      for (std::size_t h = 0; h < half_lives_.size(); ++h) {
        const double left = std::exp2(-(times[i] - before) / half_lives_[h]);
        for (std::size_t j = 0; j < columns_; ++j) {
          const std::size_t at = i * size + h * columns_ + j;
          after_[at + size] = after_[at] * left + values(i, j);
        }
      }
    }
  }

  /// Column j for half-life h after the first `count` moments, as of the last of them.
  double after(std::size_t count, std::size_t h, std::size_t j) const {
    return after_[count * size() + h * columns_ + j];
  }
  /// What is left at `time` of the sums after the first `count` moments: 2^(-age / h).
  double left(std::span<const double> times, std::size_t count, double time, std::size_t h) const {
    const double last = count == 0 ? *until_ : times[count - 1];
    if (std::isinf(last)) return 0.0;
    return std::exp2(-std::max(0.0, time - last) / half_lives_[h]);
  }

  /// One moment more among the folded ones; `update` from 0 must follow. value(j): its columns.
  template <class Value>
  void add_folded(double time, Value value) {
    const double until = std::max(*until_, time);
    for (std::size_t h = 0; h < half_lives_.size(); ++h) {
      const double left =
          std::isinf(*until_) ? 0.0 : std::exp2(-(until - *until_) / half_lives_[h]);
      for (std::size_t j = 0; j < columns_; ++j) {
        double& sum = after_[h * columns_ + j];
        sum = sum * left + value(j) * std::exp2(-(until - time) / half_lives_[h]);
      }
    }
    *until_ = until;
  }

 private:
  std::size_t size() const { return half_lives_.size() * columns_; }

  std::span<const double> half_lives_;
  std::size_t columns_;
  Number* until_;
  Number* after_;
};

}  // namespace ecseq::relation
